"""What a URL of Redis says."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from .._url import StoreUrl

NAMESPACE_DEFAULT = "durable"
PORT_DEFAULT = 6379
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_REPLICAS_MAX = 10
KNOWN = {"partitions", "namespace", "wait_replicas", "allow_eviction"}


@dataclass(frozen=True, slots=True)
class Options:
    """A URL, read. `connect` is what redis-py's connections are made with."""

    shown: str
    namespace: str
    partitions: int | None
    wait_replicas: int
    allow_eviction: bool
    connect: dict[str, Any] = field(repr=False)


def options_of(url: str, parsed: StoreUrl, partitions: int | None) -> Options:
    """Read a URL of a single server. Raises `StoreUrlError` for what is not understood."""
    parsed.check_options(KNOWN)
    namespace = parsed.options.get("namespace", NAMESPACE_DEFAULT)
    if not _NAMESPACE.fullmatch(namespace):
        raise parsed.refuse(f"expected a namespace of letters, digits, '.', '_' and '-', got {namespace!r}")
    replicas = parsed.options.get("wait_replicas", "0")
    if not replicas.isdecimal() or int(replicas) > _REPLICAS_MAX:
        raise parsed.refuse(f"expected wait_replicas as a number from 0 to {_REPLICAS_MAX}, got {replicas!r}")
    eviction = parsed.options.get("allow_eviction", "no")
    if eviction not in ("yes", "no"):
        raise parsed.refuse(f"expected allow_eviction=yes or no, got {eviction!r}")
    connect = _unix(url, parsed) if parsed.scheme == "unix" else _tcp(url, parsed)
    return Options(parsed.shown, namespace, parsed.partitions(partitions), int(replicas), eviction == "yes", connect)


def _tcp(url: str, parsed: StoreUrl) -> dict[str, Any]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise parsed.refuse("expected a port from 0 to 65535") from None
    if not host:
        raise parsed.refuse('it names no host; expected "redis://host:port/database"')
    return {
        "host": host,
        "port": port or PORT_DEFAULT,
        "db": _database(parts.path, parsed),
        **_user(parts.username, parts.password),
        **({"ssl": True} if parsed.scheme == "rediss" else {}),
    }


def _unix(url: str, parsed: StoreUrl) -> dict[str, Any]:
    parts = urlsplit(url)
    if not parts.path.startswith("/") or parts.hostname:
        raise parsed.refuse('expected the path of a socket, "unix:///run/redis.sock"')
    return {"unix_socket_path": unquote(parts.path), **_user(parts.username, parts.password)}


def _user(name: str | None, password: str | None) -> dict[str, Any]:
    return {"username": unquote(name) if name else None, "password": unquote(password) if password else None}


def _database(path: str, parsed: StoreUrl) -> int:
    text = path.strip("/")
    if text and not text.isdecimal():
        raise parsed.refuse(f"expected the number of a database after the host, got {text!r}")
    return int(text or "0")
