"""What `durable doctor` asks of the servers: what was looked at when the store was opened may have changed since."""

from typing import Any

from .._upkeep import Finding, Level
from ._connection import Connection
from ._durability import promises
from ._errors import code_of, mapped
from ._namespace import Namespace
from ._options import Options

VERSION_MIN = {"redis": (6, 2), "valkey": (7, 2)}
SAFE_POLICY = "noeviction"
REFUSED = "the user may not do: "
REFUSED_ADVICE = (
    "allow them in the user's ACL, on all keys and channels of the namespace; see the page on running on Redis"
)
_MEMORY_SHARE_WARNED = 0.9  # of maxmemory: then the next burst of work is refused


async def checks(namespace: Namespace, options: Options) -> list[Finding]:
    """Look at every primary, and at what the user may do there. Raises as the store does."""
    return [*await _servers(namespace.connection, options), await _access(namespace)]


async def _servers(connection: Connection, options: Options) -> list[Finding]:
    try:
        told = await connection.about()
    except Exception as error:
        if code_of(error) == "NOPERM":
            text = "the user may not ask for INFO, so nothing is known of the server's settings"
            return [Finding("note", "server", text, "add +info to the user's ACL")]
        raise mapped(error, options.shown) from error
    found: list[Finding] = []
    for where, info in told:
        at = "" if len(told) == 1 else f"{where}: "
        found += [_server(info, at), _eviction(info, at, options), *_durability(info, at, options), _memory(info, at)]
    return found


async def refused(namespace: Namespace, partitions: int) -> list[str]:
    """Return the commands that the user may not run on the keys and channels of so many partitions, sorted."""
    some = namespace.keys[:partitions]
    # Not as writes: nothing stays, and to ask must not take replicas that `wait_replicas` waits for in vain.
    calls = [namespace.call("access", keys, keys=[keys.trial()], writes=False) for keys in some]
    return sorted({command.decode().lower() for answer in await namespace.run(calls) for command in answer})


async def _access(namespace: Namespace) -> Finding:
    lacking = await refused(namespace, namespace.partitions)
    if not lacking:
        return Finding("ok", "access", "the user may do all that is needed")
    return Finding("problem", "access", f"{REFUSED}{', '.join(lacking)}", REFUSED_ADVICE)


def version_of(info: dict[str, Any]) -> tuple[str, str, str | None]:
    """Return what the server is, its version, and which one is needed if that is too old."""
    name = "valkey" if "valkey_version" in info else "redis"
    text = str(info.get(f"{name}_version", ""))
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    old = bool(version) and version < VERSION_MIN[name]
    return name, text, ".".join(map(str, VERSION_MIN[name])) if old else None


def is_replica(info: dict[str, Any]) -> bool:
    """Return whether the server refuses to write because it follows another one."""
    return info.get("role") == "slave" and bool(info.get("slave_read_only", 1))


def _server(info: dict[str, Any], at: str) -> Finding:
    name, version, needed = version_of(info)
    text = f"{at}{name} {version}"
    if is_replica(info):
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        text = f"{text}, by now a read-only replica of {primary}: nothing can be written"
        return Finding("problem", "server", text, "use the address of the primary, Sentinel or a cluster")
    if needed is not None:
        return Finding("problem", "server", f"{text}; {needed} or newer is needed", "upgrade the server")
    return Finding("ok", "server", text)


def _eviction(info: dict[str, Any], at: str, options: Options) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy is None:
        text = f"{at}the server does not tell its maxmemory-policy"
        return Finding("note", "eviction", text, f"make sure that it is {SAFE_POLICY}")
    text = f"{at}maxmemory-policy is {policy}"
    if policy == SAFE_POLICY:
        return Finding("ok", "eviction", text)
    level: Level = "warning" if options.allow_eviction else "problem"
    return Finding(
        level, "eviction", f"{text}: it may delete histories when memory is short", f"set it to {SAFE_POLICY}"
    )


def _durability(info: dict[str, Any], at: str, options: Options) -> list[Finding]:
    found = [
        Finding("warning" if promise.advice else "ok", "durability", f"{at}{promise.text}", promise.advice)
        for promise in promises(info, options.wait_replicas)
    ]
    for kind, field in (("append-only file", "aof_last_write_status"), ("snapshot", "rdb_last_bgsave_status")):
        if info.get(field, "ok") != "ok":
            text = f"{at}the last write of the {kind} failed; the server may refuse all writes until it works"
            found.append(Finding("problem", "durability", text, "look at the server's log: is its disk full?"))
    return found


def _memory(info: dict[str, Any], at: str) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    text = f"{at}{used / 1e6:,.1f} MB used"
    if not most:
        return Finding("ok", "memory", f"{text}, no maxmemory")
    text = f"{text} of {most / 1e6:,.1f} MB"
    if used > most:
        advice = "raise maxmemory: until then nothing can be written, and `durable prune` cannot make room either"
        return Finding("problem", "memory", f"{text}: all writes are refused", advice)
    if used > most * _MEMORY_SHARE_WARNED:
        return Finding("warning", "memory", text, "raise maxmemory, or forget old runs: `durable prune`")
    return Finding("ok", "memory", text)
