"""What workers say of themselves in their sessions, and where to find it."""

from typing import NamedTuple

import msgspec

from ..stores import Store


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself in its session."""

    pid: int
    host: str
    workflows: list[str]
    activities: list[str]


class Offered(NamedTuple):
    """What the live workers of a queue offer, together."""

    workflows: frozenset[str]
    activities: frozenset[str]


def session_groups(queue: str) -> tuple[str, str]:
    """Return the group of sessions that run workflows of `queue`, and that of those which run activities only."""
    return f"engine/{queue}", f"activities/{queue}"


async def offered(store: Store, queue: str) -> Offered:
    """Return what the live workers of `queue` offer. One of another version, whose offer cannot be read, counts as none."""
    workflows, activities = set[str](), set[str]()
    for group in session_groups(queue):
        for session in await store.sessions(group):
            try:
                offer = msgspec.json.decode(session.data, type=Offer)
            except msgspec.MsgspecError:
                continue
            workflows.update(offer.workflows)
            activities.update(offer.activities)
    return Offered(frozenset(workflows), frozenset(activities))
