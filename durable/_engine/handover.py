"""Runs of workflows that this worker does not have: their partition is handed to a worker that does (rolling deployments).

What an owner met and does not know it says in its session (`Offer.needs`), where every worker of the queue reads it. All
compute from the same facts who is to own the partition (`balance`): a worker that has all the workflows that its runs were
found to need. What was met is remembered as long as the worker lives: so it does not take the partition back while one
that is able to is there. If there is none, the partition stays where it is, and the run is stuck.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Set

from .._log import Offer, offered, offers_serving
from ..stores import Store
from . import balance
from .loading import UnknownWorkflowError

_KINDS_MAX = 20  # of a partition, in a session's data: a worker that lacks more lacks all of these as well

_log = logging.getLogger("durable.engine")

Offers = Mapping[str, Offer | None]


class Handover:
    """What one engine met. `publish` has the session say so, and then calls `Engine.rebalance`; None: nobody is told."""

    def __init__(self, store: Store, session: str, queue: str, inbox: str, publish: Callable[[], None] | None) -> None:
        self._store, self._session, self._queue, self._inbox = store, session, queue, inbox
        self._publish = publish
        self._met: dict[int, set[str]] = {}
        self._leaving: set[int] = set()  # partitions for which that was logged

    @property
    def needs(self) -> dict[int, list[str]]:
        """What the session is to say of this engine's inbox."""
        return {partition: sorted(workflows) for partition, workflows in self._met.items()}

    async def offers(self) -> Offers:
        """Return what the live workers of the inbox offer. What they do not know of this engine's needs yet is published."""
        offers = await offers_serving(self._store, self._queue, self._inbox)
        mine = offers.get(self._session)
        if self._publish is not None and mine is not None and mine.needs.get(self._inbox, {}) != self.needs:
            self._publish()
        return offers

    async def share(self, offers: Offers) -> balance.Share:
        """Return what this engine should own, by what all have published. Raises `StoreError`."""
        needs: dict[int, set[str]] = {}
        for offer in offers.values():
            for partition, workflows in ({} if offer is None else offer.needs.get(self._inbox, {})).items():
                needs.setdefault(partition, set()).update(workflows)
        partitions = self._store.partitions
        if not needs or not (able := balance.able(needs, _workflows(offers))):
            return balance.fair_share(list(offers), self._session, partitions)
        holders = await self._store.holders(self._inbox)
        return balance.fair_share(list(offers), self._session, partitions, able, holders)

    async def lacks(self, partition: int, error: UnknownWorkflowError) -> str | None:
        """A run of `partition` has a workflow that is not known here. Return why no other worker takes it over; None if one does.

        Raises `StoreError`.
        """
        met = self._met.setdefault(partition, set())
        if len(met) < _KINDS_MAX:
            met.add(error.workflow)
        if self._publish is None:
            return str(error)
        offers = await self.offers()
        needs = set(met).union(
            *(offer.needs.get(self._inbox, {}).get(partition, ()) for offer in offers.values() if offer is not None)
        )
        workflows = {id_: names for id_, names in _workflows(offers).items() if id_ != self._session}
        if any(needs <= names for names in workflows.values()):
            if partition not in self._leaving:
                self._leaving.add(partition)
                _log.info("partition %d goes to a worker that has workflow %r", partition, error.workflow)
            return None
        self._leaving.discard(partition)
        if any(error.workflow in names for names in workflows.values()):
            return (
                f"workflow {error.workflow!r} is not registered with the worker that owns partition {partition}; another worker of "
                f"this queue has it, but none has all that runs of this partition need ({', '.join(sorted(needs))}): start one that "
                "has all of them, and the run goes on"
            )
        pinned = [
            version for name, version in (await offered(self._store, self._queue)).pinned if name == error.workflow
        ]
        if pinned:
            return (
                f"workflow {error.workflow!r} is served in pinned versions only ({', '.join(pinned)}), and this run is of none: "
                f"terminate it, and start it with `version={pinned[-1]!r}`, or serve the workflow unpinned"
            )
        return str(error)


def _workflows(offers: Offers) -> dict[str, Set[str]]:
    return {id_: frozenset() if offer is None else frozenset(offer.workflows) for id_, offer in offers.items()}
