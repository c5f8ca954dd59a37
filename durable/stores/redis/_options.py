"""What a URL of Redis says."""

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from .._url import StoreUrl

NAMESPACE_DEFAULT = "durable"
PORT_DEFAULT = 6379
SENTINEL_PORT_DEFAULT = 26379
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:,@\s]+))(?::(\d{1,5}))?")
_REPLICAS_MAX = 10
KNOWN = {"partitions", "namespace", "wait_replicas", "allow_eviction", "create"}
_TLS = {"tls_ca", "tls_cert", "tls_key", "tls_check_hostname"}
_SENTINEL = {"sentinel_user", "sentinel_password"}
_NONE = frozenset[str]()

Kind = Literal["single", "cluster", "sentinel"]


@dataclass(frozen=True, slots=True)
class Options:
    """A URL, read. `connect` is what redis-py's connections are made with, less the address; `connect_sentinel` those to sentinels."""

    shown: str
    kind: Kind
    addresses: Sequence[
        tuple[str, int]
    ]  # of the server, of some of the cluster, or of the sentinels; (path, 0) for a socket
    service: str  # what sentinels call the primary
    namespace: str
    partitions: int | None
    wait_replicas: int
    allow_eviction: bool
    create: bool  # whether a namespace that is not there yet is made
    connect: dict[str, Any] = field(repr=False)
    connect_sentinel: dict[str, Any] = field(repr=False)


def options_of(url: str, parsed: StoreUrl, partitions: int | None) -> Options:
    """Read a URL of a server, a cluster or sentinels. Raises `StoreUrlError` for what is not understood."""
    kind = _kind(parsed.scheme)
    tls = parsed.scheme.startswith("rediss")
    parsed.check_options(KNOWN | (_TLS if tls else _NONE) | (_SENTINEL if kind == "sentinel" else _NONE))
    namespace = parsed.options.get("namespace", NAMESPACE_DEFAULT)
    if not _NAMESPACE.fullmatch(namespace):
        raise parsed.refuse(f"expected a namespace of letters, digits, '.', '_' and '-', got {namespace!r}")
    replicas = parsed.options.get("wait_replicas", "0")
    if not replicas.isdecimal() or int(replicas) > _REPLICAS_MAX:
        raise parsed.refuse(f"expected wait_replicas as a number from 0 to {_REPLICAS_MAX}, got {replicas!r}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise parsed.refuse(f"it is no URL: {error}") from None
    secured = _tls(parsed) if tls else {}
    connect = {**_user(parts.netloc), **secured}
    service = ""
    if parsed.scheme == "unix":
        addresses = [(_socket(parts.path, parts.netloc, parsed), 0)]
    else:
        addresses = _addresses(parts.netloc, parsed, SENTINEL_PORT_DEFAULT if kind == "sentinel" else PORT_DEFAULT)
        if kind == "sentinel":
            service, database = _service(parts.path, parsed)
        else:
            database = _database(parts.path, parsed)
        if kind == "single" and len(addresses) > 1:
            raise parsed.refuse("it names several hosts: use redis+cluster:// or redis+sentinel://")
        if kind == "cluster" and database:
            raise parsed.refuse(
                f"a cluster has no database but 0, got {database}: use namespace=name to keep programs apart"
            )
        connect["db"] = database
    sentinel = {
        "username": parsed.options.get("sentinel_user"), "password": parsed.options.get("sentinel_password"), **secured,
    }  # fmt: skip
    shown = parsed.shown.removesuffix("&create=no").removesuffix("?create=no")  # commands that only look add it
    return Options(
        shown, kind, addresses, service, namespace, parsed.partitions(partitions), int(replicas),
        _yes(parsed, "allow_eviction", "no"), _yes(parsed, "create", "yes"), connect, sentinel,
    )  # fmt: skip


def _kind(scheme: str) -> Kind:
    if scheme.endswith("+cluster"):
        return "cluster"
    return "sentinel" if scheme.endswith("+sentinel") else "single"


def _yes(parsed: StoreUrl, name: str, default: str) -> bool:
    text = parsed.options.get(name, default)
    if text not in ("yes", "no"):
        raise parsed.refuse(f"expected {name}=yes or no, got {text!r}")
    return text == "yes"


def _addresses(netloc: str, parsed: StoreUrl, port_default: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for each in netloc.rpartition("@")[2].split(","):
        if not each:
            raise parsed.refuse(f'it names no host; expected "{parsed.scheme}://host:port"')
        read = _HOST.fullmatch(each)
        port = int(read[3] or port_default) if read else -1
        if read is None or not 0 < port < 65_536:
            raise parsed.refuse(f"expected a host and a port from 1 to 65535, got {each!r}")
        found.append((read[1] or unquote(read[2]), port))
    return found


def _service(path: str, parsed: StoreUrl) -> tuple[str, int]:
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise parsed.refuse('it names no service; expected "redis+sentinel://host:port,host2:port/service"')
    return unquote(service), _database(database, parsed)


def _socket(path: str, netloc: str, parsed: StoreUrl) -> str:
    if not path.startswith("/") or netloc.rpartition("@")[2]:
        raise parsed.refuse('expected the path of a socket, "unix:///run/redis.sock"')
    return unquote(path)


def _tls(parsed: StoreUrl) -> dict[str, Any]:
    """Return what TLS is made with. Files are looked at here, so that a mistyped path is told as such."""
    files = {name: parsed.options.get(name) for name in ("tls_ca", "tls_cert", "tls_key")}
    for name, path in files.items():
        if path is not None and not Path(path).is_file():
            raise parsed.refuse(f"{name} names no file: {path!r}")
    if files["tls_key"] is not None and files["tls_cert"] is None:
        raise parsed.refuse("tls_key needs tls_cert, the certificate that it is the key of")
    _try_out(files, parsed)
    return {
        "ssl": True,
        "ssl_ca_certs": files["tls_ca"],
        "ssl_certfile": files["tls_cert"],
        "ssl_keyfile": files["tls_key"],
        "ssl_check_hostname": _yes(parsed, "tls_check_hostname", "yes"),
    }


def _try_out(files: Mapping[str, str | None], parsed: StoreUrl) -> None:
    """Raise `StoreUrlError` if the files are not what they should be: the error at connecting would name none of them."""
    names = "tls_ca"
    try:
        context = ssl.create_default_context(cafile=files["tls_ca"])
        if files["tls_cert"] is not None:
            names = "tls_cert and tls_key"
            context.load_cert_chain(files["tls_cert"], files["tls_key"])
    except (ssl.SSLError, OSError) as error:
        raise parsed.refuse(f"{names}: expected PEM files that belong together: {error}") from None


def _user(netloc: str) -> dict[str, Any]:
    name, _, password = netloc.rpartition("@")[0].partition(":")
    return {"username": unquote(name) or None, "password": unquote(password) or None}


def _database(path: str, parsed: StoreUrl) -> int:
    text = path.strip("/")
    if text and not text.isdecimal():
        raise parsed.refuse(f"expected the number of a database after the host, got {text!r}")
    return int(text or "0")
