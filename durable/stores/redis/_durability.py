"""What a server promises to keep of that which it acknowledged, in words: the table in docs/how-to/run-on-redis.md says the same."""

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

FLUSHES = "appendfsync"  # how often an append-only file is on the disk; INFO does not say it
_PROMISES = {
    "always": "what is acknowledged survives a power cut",
    "everysec": "a power cut may lose about the last second; the end of the server's process loses nothing, or up to 2 s while the disk is slow",
    "no": "a power cut may lose what the system had not written yet, half a minute or so",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds for one server. `advice` is empty if it is worth no warning."""

    text: str
    advice: str = ""


async def asked(client: Any) -> dict[str, Any]:
    """Return what a server says of itself (INFO), and how often it flushes if it tells. Raises errors of redis-py."""
    info: dict[str, Any] = dict(await client.info())
    if info.get("aof_enabled"):
        try:
            info.update(await client.config_get(FLUSHES))
        except ResponseError:
            pass  # managed services have no CONFIG, and a user's ACL may forbid it
    return info


def promises(info: dict[str, Any], wait_replicas: int) -> list[Promise]:
    """Return what the server keeps when it dies, and what a failover may lose."""
    return [_when_it_dies(info), *_replicas(info, wait_replicas)]


def _when_it_dies(info: dict[str, Any]) -> Promise:
    if not info.get("aof_enabled"):
        return Promise(
            "no append-only file: if the server dies, all that it acknowledged since its last snapshot is lost",
            "set appendonly yes",
        )
    flushes = info.get(FLUSHES)
    if flushes not in _PROMISES:
        return Promise(
            "append-only file on, but the server does not tell its appendfsync: what a power cut may lose is unknown",
            "allow +config|get in the user's ACL, or look it up where the server is managed",
        )
    return Promise(f"append-only file on, appendfsync {flushes}: {_PROMISES[flushes]}")


def _replicas(info: dict[str, Any], wanted: int) -> list[Promise]:
    there = int(info.get("connected_slaves", 0))
    if not wanted:
        return [Promise("a failover may lose what the replica did not have yet (no wait_replicas)")] if there else []
    if there < wanted:
        return [
            Promise(
                f"wait_replicas={wanted}, but {there} replicas are connected: no write is confirmed, and runs stand still",
                "connect replicas, or ask for fewer in the store's URL",
            )
        ]
    text = (
        f"each write waits until {wanted} of {there} replicas have it; a failover to one without it may still lose it"
    )
    return [Promise(text)]
