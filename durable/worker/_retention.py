"""Removes closed runs that are old enough, in the partitions that this worker owns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._duration import FOREVER_MS
from .._retention import Sweep
from ..errors import StoreError
from ..stores import Document, Lease, Store
from ._settings import Settings

logger = logging.getLogger("durable.worker")

_INTERVAL_MS_MIN, _INTERVAL_MS_MAX = 1_000, 60_000  # between two rounds; a tenth of the shortest retention in between
_AGAIN_S_MIN, _AGAIN_S_MAX = 5.0, 600.0  # after a run could not be archived, doubling; or is still needed


@dataclass(slots=True)
class _Place:
    """How far the runs of one retention were swept in one partition."""

    after: tuple[int, str] = (0, "")
    not_before_s: float = 0.0  # by the monotonic clock
    failures: int = 0  # in a row


class Retention:
    """Sweeps the partitions whose leases `leases` returns, for those workflows of the worker that are not kept for ever."""

    def __init__(self, store: Store, session: str, settings: Settings, leases: Callable[[], Sequence[Lease]]) -> None:
        self._store, self._settings, self._leases = store, settings, leases
        self._sweep = Sweep(store, session, settings.archive)
        self._ages = sorted(
            {age for inbox in settings.workflows for age in self._ages_of(inbox).values()} - {FOREVER_MS}
        )
        self._places: dict[tuple[int, int, frozenset[str]], _Place] = {}

    def _ages_of(self, inbox: str) -> dict[str, int]:
        """Return how long the closed runs of each workflow of an inbox are kept, in ms."""
        default = FOREVER_MS if self._settings.retention_ms is None else self._settings.retention_ms
        workflows = self._settings.workflows.get(inbox, {})
        return {
            name: default if workflow.retention_ms is None else workflow.retention_ms
            for name, workflow in workflows.items()
        }

    async def run(self) -> None:
        """Sweep now and then, until cancelled. An error of the store is logged, and the next round goes on."""
        if not self._ages:
            return
        interval_s = min(max(self._ages[0] // 10, _INTERVAL_MS_MIN), _INTERVAL_MS_MAX) / 1000
        clock = self._store.clock
        while (pause_s := clock.upkeep_s(interval_s)) is not None:
            await clock.sleep(pause_s * (0.5 + clock.jitter()))
            try:
                await self.round()
            except StoreError as error:
                logger.warning("old runs could not be removed, trying again later: %s", error)

    async def round(self) -> None:
        """Sweep each owned partition once. Raises `StoreError`."""
        owned: dict[int, set[str]] = {}
        for lease in self._leases():
            owned.setdefault(lease.partition, set()).add(lease.inbox)
        known = self._places
        self._places = {}
        for partition, inboxes in owned.items():
            for age in self._ages:
                key = partition, age, frozenset(inboxes)
                self._places[key] = known.get(key) or _Place()  # a partition that is taken anew is read anew
        for (partition, age, served), place in list(self._places.items()):
            if place.not_before_s <= self._store.clock.monotonic():
                await self._sweep_one(partition, age, served, place)

    async def _sweep_one(self, partition: int, age: int, inboxes: frozenset[str], place: _Place) -> None:
        kinds = {(inbox, name) for inbox in inboxes for name, kept_ms in self._ages_of(inbox).items() if kept_ms == age}

        def wanted(document: Document) -> bool:
            return (document.inbox, document.kind) in kinds

        before_ms = self._store.now_ms() - age + 1
        done = await self._sweep.partition(partition, before_ms=before_ms, wanted=wanted, after=place.after)
        place.after = done.resume
        place.failures = place.failures + 1 if done.failed else 0
        pause_s = 0.0
        if done.failed:
            pause_s = min(_AGAIN_S_MIN * 2 ** min(place.failures - 1, 16), _AGAIN_S_MAX)
        elif done.needed:  # the place stays before the first of them: not read again every minute
            pause_s = min(_AGAIN_S_MAX, age / 1000)
        place.not_before_s = self._store.clock.monotonic() + pause_s
        if done.runs:
            logger.info("removed %d closed runs (%d events) of partition %d", done.runs, done.events, partition)
