"""Opening a namespace: what the server must be like, and what is fixed when the namespace is made."""

import logging
from typing import Any

from ..._clock import Clock
from ...errors import StoreFormatError, StoreReadOnlyError, StoreUnavailableError, StoreUrlError
from ._calls import Plain
from ._checks import REFUSED, REFUSED_ADVICE, SAFE_POLICY, is_replica, refused, version_of
from ._connection import Connection
from ._durability import promises
from ._errors import code_of, not_connected
from ._keys import FIXED, Keys, Shared
from ._namespace import Namespace
from ._options import Options

_log = logging.getLogger("durable.store")

PARTITIONS_DEFAULT = 16  # a cluster of some nodes gets several each, and sixteen workers can share them
_TRIED_MAX = (
    16  # partitions in which it is tried what the user may do: a rule for one key of many is a thing for the doctor
)
FORMAT = 1  # of the keys; another one is of another version of this package


async def opened(connection: Connection, options: Options, clock: Clock) -> Namespace:
    """Look at the server, open the namespace or make it, and return it. Raises as `open_store` does."""
    told = await _information(connection, options)
    for where, info in told:
        at = options.shown if len(told) == 1 else f"{options.shown}: the server at {where}"
        _check_version(info, at)
        _check_role(info, at, options)
        _check_eviction(info, at, options)
        _log_durability(info, at, options)
    namespace = Namespace(connection, options.namespace, clock)
    partitions = await _fixed(namespace, options)
    namespace.keys = [Keys(options.namespace, partition) for partition in range(partitions)]
    await _check_types(namespace, options)
    await _log_access(namespace, options)
    await _read_clock(namespace)
    return namespace


async def _information(connection: Connection, options: Options) -> list[tuple[str, dict[str, Any]]]:
    try:
        return await connection.about()
    except Exception as error:
        if code_of(error) == "NOPERM":
            _log.warning(
                "%s: the user may not ask for INFO, so the server's settings could not be checked; add +info to its ACL",
                options.shown,
            )
            return []
        if "DB index" in str(error):
            number = options.connect["db"]
            raise StoreUrlError(
                f"store URL {options.shown!r}: the server has no database {number} ({error}); "
                "use another one, or namespace=name to keep programs apart. Nothing was written"
            ) from error
        raise not_connected(error, options.shown, _hint(options)) from error


def _hint(options: Options) -> str:
    if not options.connect.get("ssl"):
        return "; if the server speaks TLS alone, use rediss://"
    if options.connect["ssl_certfile"] is None:
        return "; the server may not speak TLS at this port, or want a client's certificate (tls_cert, tls_key)"
    return "; the server may not speak TLS at this port, or not trust the certificate in tls_cert"


def _check_version(info: dict[str, Any], at: str) -> None:
    name, text, need = version_of(info)
    if need is not None:
        raise StoreUnavailableError(
            f"{at}: the server is {name} {text}; {need} or newer is needed. Nothing was written"
        )


def _check_role(info: dict[str, Any], at: str, options: Options) -> None:
    if is_replica(info):
        raise StoreReadOnlyError(
            f"{at}: this server is a read-only replica of {info.get('master_host')}:{info.get('master_port')}: "
            "use the address of the primary, or Sentinel"
        )
    if info.get("cluster_enabled") and options.kind != "cluster":
        raise StoreUrlError(f"{at}: this server is part of a cluster: use redis+cluster://. Nothing was written")


def _check_eviction(info: dict[str, Any], at: str, options: Options) -> None:
    policy = info.get("maxmemory_policy")
    if policy is None:
        if info:
            _log.warning("%s: the server does not tell its maxmemory-policy; it must be noeviction", at)
    elif policy != SAFE_POLICY:
        text = f"{at}: the server's maxmemory-policy is {policy}, by which it may delete histories when memory is short"
        if not options.allow_eviction:
            raise StoreUrlError(
                f"{text}: set it to noeviction, or add allow_eviction=yes to the URL to run all the same. Nothing was written"
            )
        _log.warning("%s (allowed by allow_eviction=yes)", text)


def _log_durability(info: dict[str, Any], at: str, options: Options) -> None:
    for promise in promises(info, options.wait_replicas) if info else []:
        if promise.advice:
            _log.warning("%s: %s; %s", at, promise.text, promise.advice)
        else:
            _log.info("%s: %s", at, promise.text)


async def _fixed(namespace: Namespace, options: Options) -> int:
    """Return the number of partitions of the namespace, which is made if there is none."""
    shared = Shared(options.namespace)
    key = shared.key
    read = Plain(shared, ("HLEN", key)), Plain(shared, ("HMGET", key, "partitions", "format"))
    count, found = await namespace.run(read)
    if not count and not options.create:
        raise StoreUnavailableError(
            f"{options.shown}: there is no namespace {options.namespace!r} on this server yet: is its name right (namespace= in the URL)? "
            "A worker or a run that is started makes it. Nothing was written"
        )
    if not count:
        fields = ("partitions", options.partitions or PARTITIONS_DEFAULT), ("format", FORMAT)
        await namespace.run([Plain(shared, ("HSETNX", key, *each), writes=True) for each in fields])
        count, found = await namespace.run(read)
    text, kept = found[0] or b"", found[1] or b"1"
    if not text.isdigit() or not kept.isdigit():
        raise StoreFormatError(f"{options.shown}: the key {key.decode()!r} is not ours: choose another namespace")
    if int(kept) > FORMAT:
        raise StoreFormatError(
            f"{options.shown}: the namespace {options.namespace!r} was made by a newer version (format {int(kept)}, this one knows {FORMAT})"
        )
    if options.partitions not in (None, int(text)):
        raise StoreUrlError(
            f"store URL {options.shown!r}: the store has {int(text)} partitions, not {options.partitions}; their number cannot change: "
            "leave partitions= out, or take another namespace"
        )
    return int(text)


async def _check_types(namespace: Namespace, options: Options) -> None:
    """Raise `StoreFormatError` if a key of ours is of another type: a script that meets one midway could not take back what it wrote."""
    asked = [(keys, name) for keys in namespace.keys for name in FIXED]
    types = await namespace.run([Plain(keys, ("TYPE", keys.fixed[name])) for keys, name in asked])
    for (keys, name), found in zip(asked, types, strict=True):
        if found.decode() not in ("none", FIXED[name]):
            raise StoreFormatError(
                f"{options.shown}: the key {keys.fixed[name].decode()!r} is a {found.decode()} of somebody else; "
                f"expected a {FIXED[name]}: choose another namespace"
            )


async def _log_access(namespace: Namespace, options: Options) -> None:
    """Say what the user may not do, which is no error here: somebody who only looks need not write."""
    lacking = await refused(namespace, _TRIED_MAX)
    if lacking:
        _log.warning("%s: %s%s; %s", options.shown, REFUSED, ", ".join(lacking), REFUSED_ADVICE)


async def _read_clock(namespace: Namespace) -> None:
    before_ms = namespace.clock.now_ms()
    (answer,) = await namespace.run([Plain(namespace.keys[0], ("TIME",))])
    half_ms = (namespace.clock.now_ms() - before_ms) // 2
    seconds, microseconds = answer
    namespace.note_time(int(seconds) * 1000 + int(microseconds) // 1000 + half_ms)
