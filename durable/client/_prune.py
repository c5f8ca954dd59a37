"""Removing closed runs by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from .. import _limits
from .._duration import Duration, milliseconds
from .._log import Status
from .._retention import SWEEP_GROUP, Archive, Pass, Sweep, archive_of
from ..author import Workflow
from ..errors import StoreUnavailableError
from ..stores import Document, Store
from ._filters import filter_of
from ._patience import insist

_TTL_MS = (
    12 * _limits.LEASE_TTL_MS
)  # nobody waits for this session's leases: a minute without a renewal does not matter
_BUSY_TRIES = 50  # a worker sweeps a partition for a moment only, unless it has much to remove
_PAUSE_S = 0.2


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What `Client.prune` removed, or with `dry_run` would remove: so many `runs`, with so many `events` of their histories.

    `by_workflow` has the runs by the name of their workflow. `needed` runs are old enough, and stay since the run that
    started them as its children has not recorded how they ended; `failed` ones since they could not be read or archived.
    `busy` are partitions that could not be looked at, since a worker was removing runs there all the time.
    """

    runs: int = 0
    events: int = 0
    by_workflow: dict[str, int] = field(default_factory=dict[str, int])
    needed: int = 0
    failed: int = 0
    busy: int = 0

    def add(self, done: Pass) -> None:
        """Add what came of one partition."""
        self.runs += done.runs
        self.events += done.events
        self.needed += done.needed
        self.failed += done.failed
        self.busy += done.busy
        for name, runs in done.by_workflow.items():
            self.by_workflow[name] = self.by_workflow.get(name, 0) + runs


async def prune(
    store: Store,
    *,
    older_than: Duration,
    workflow: Workflow[..., object] | str | None,
    status: Status | Sequence[Status] | None,
    archive: Archive | str | os.PathLike[str] | None,
    dry_run: bool,
    on_progress: Callable[[int], None] | None,
) -> Pruned:
    """See `Client.prune`."""
    before_ms = store.now_ms() - milliseconds(older_than, what="older_than") + 1
    asked = filter_of(
        workflow=workflow, status=status, id_prefix=None, started_after=None, started_before=None, stuck=None
    )
    if "running" in asked.states:
        raise ValueError(
            "status: a run that is open is never removed; expected the status of closed ones, got 'running'"
        )

    def wanted(document: Document) -> bool:
        return (not asked.kinds or document.kind in asked.kinds) and (
            not asked.states or document.state in asked.states
        )

    session, clock, pruned = store.clock.new_id(), store.clock, Pruned()
    sweep = Sweep(store, session, archive_of(archive), dry_run=dry_run)
    await insist(clock, lambda: store.begin_session(session, SWEEP_GROUP, b"", _TTL_MS))
    keeping = asyncio.get_running_loop().create_task(_keep(store, session))
    try:
        for partition in range(store.partitions):
            before, done = pruned.runs, Pass()

            def show(runs: int, before: int = before) -> None:
                if on_progress is not None:
                    on_progress(before + runs)

            def again(
                partition: int = partition, done: Pass = done, show: Callable[[int], None] = show
            ) -> Awaitable[Pass]:
                return sweep.partition(partition, before_ms=before_ms, wanted=wanted, on_progress=show, into=done)

            for _ in range(_BUSY_TRIES):
                await insist(clock, again)  # a repeat does what is left
                if not done.busy:
                    break
                await clock.sleep(_PAUSE_S)
            pruned.add(done)
    finally:
        keeping.cancel()
        await insist(clock, lambda: store.end_session(session))
    return pruned


async def _keep(store: Store, session: str) -> None:
    """Keep the session alive, until cancelled."""
    while (pause_s := store.clock.upkeep_s(_TTL_MS / 4000)) is not None:
        await store.clock.sleep(pause_s)
        try:
            await asyncio.to_thread(store.renew, session, _TTL_MS, (), ())
        except StoreUnavailableError:  # the next one may succeed in time; if not, a commit is refused
            continue
