"""What workers say of themselves in their sessions, and where to find it."""

from typing import NamedTuple

import msgspec

from .._ids import pinned_version_of
from ..stores import SessionInfo, Store


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself in its session.

    `workflows` are those that follow the code as it is, `inboxes` whose runs it steps: that of its queue, if there are such
    workflows, and one for each pinned version. `needs` are the workflows of runs that it met and does not know, by inbox and
    partition: a worker that has them all takes such a partition over.
    """

    pid: int
    host: str
    workflows: list[str]
    activities: list[str]
    inboxes: list[str] = []
    needs: dict[str, dict[int, list[str]]] = {}


class Offered(NamedTuple):
    """What the live workers of a queue offer, together."""

    workflows: frozenset[str]
    activities: frozenset[str]
    inboxes: frozenset[str]

    @property
    def pinned(self) -> list[tuple[str, str]]:
        """The pinned versions, each as (workflow, version)."""
        return sorted(found for inbox in self.inboxes if (found := pinned_version_of(inbox)) is not None)


def session_groups(queue: str) -> tuple[str, str]:
    """Return the group of sessions that run workflows of `queue`, and that of those which run activities only."""
    return f"engine/{queue}", f"activities/{queue}"


async def offered(store: Store, queue: str) -> Offered:
    """Return what the live workers of `queue` offer. One of another version, whose offer cannot be read, counts as none."""
    workflows, activities, inboxes = set[str](), set[str](), set[str]()
    for group in session_groups(queue):
        for session in await store.sessions(group):
            offer = _read(session)
            if offer is not None:
                workflows.update(offer.workflows)
                activities.update(offer.activities)
                inboxes.update(offer.inboxes)
    return Offered(frozenset(workflows), frozenset(activities), frozenset(inboxes))


async def offers_serving(store: Store, queue: str, inbox: str) -> dict[str, Offer | None]:
    """Return the offers of the live sessions that step the runs of `inbox`, which is of `queue`, by id, in order.

    That of a worker of another version, which cannot be read, is None.
    """
    offers = await session_offers(store, session_groups(queue)[0])
    return {id_: offer for id_, offer in offers.items() if inbox in ([queue] if offer is None else offer.inboxes)}


async def session_offers(store: Store, group: str) -> dict[str, Offer | None]:
    """Return what the live sessions of a group offer, by id, in order; None where that cannot be read."""
    return {session.id: _read(session) for session in await store.sessions(group)}


def _read(session: SessionInfo) -> Offer | None:
    try:
        return msgspec.json.decode(session.data, type=Offer)
    except msgspec.MsgspecError:
        return None
