"""Goes through the closed runs of a partition, oldest end first, and forgets those that may go, in small commits.

What a sweep writes is fenced by a lease of its own: its partition's, of an inbox that no run has. So it is no part of what
the owner of the runs commits, and works as well where nobody owns them. The store passes over what is open by then; and
whoever reopens a run that is forgotten meanwhile is refused, since its history is not where the commit expects it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from .. import telemetry
from .._log import read_run
from ..errors import DurableError, StoreError, StoreUnavailableError
from ..stores import Commit, Document, Lease, Store
from ._archive import Archive, archived_run
from ._needed import Needed

_log = logging.getLogger("durable.retention")

SWEEP_INBOX = "@sweep"  # no task queue can have this name
SWEEP_GROUP = "sweep"  # the sessions of those who sweep and are no workers
RUNS_MAX = 50  # of a commit: a script of Redis, or the one writer of SQLite, is busy for some ms at most
EVENTS_MAX = 2_000  # the same: the next run begins another commit once there are so many
PAGE = 200  # runs looked at at once
FAILURES_MAX = 3  # in a row: then it is not the run but the archive, and this pass ends
TRIES, RETRY_S = 5, 0.5  # of a commit whose outcome is unknown; then the pass ends, and the next one does the rest
PAUSE_S = (
    0.02  # at least, between two commits; and as long as the commit took, so that half of the time is left to others
)


@dataclass(slots=True)
class Pass:
    """What one pass through a partition came to. `resume` is where the next one begins: behind what need not be looked at again."""

    runs: int = 0
    events: int = 0
    needed: int = 0  # by their parents
    failed: int = 0  # could not be read or archived
    busy: bool = False  # somebody else sweeps the partition just now
    resume: tuple[int, str] = (0, "")
    by_workflow: dict[str, int] = field(default_factory=dict[str, int])


class Sweep:
    """Sweeps partitions for a session, which must be alive. `archive` is called with each run before it goes."""

    def __init__(self, store: Store, session: str, archive: Archive | None = None, *, dry_run: bool = False) -> None:
        self._store, self._session, self._archive, self._dry_run = store, session, archive, dry_run
        self._commits = 0
        self._begun = store.clock.new_id()  # two sweeps of one session never give a commit the same id

    async def partition(
        self,
        partition: int,
        *,
        before_ms: int,
        wanted: Callable[[Document], bool],
        after: tuple[int, str] = (0, ""),
        on_progress: Callable[[int], None] | None = None,
        into: Pass | None = None,
    ) -> Pass:
        """Forget the runs of `partition` that were closed before `before_ms`, are `wanted`, and that nobody needs.

        Begins after the (closed_ms, id) of `after`. `into` is a pass that was cut off, and goes on from the front. What cannot
        be read or archived stays, and is logged. Raises `StoreError`; what is forgotten by then stays so, and a repeat does the rest.
        """
        done = into or Pass()
        done.needed, done.failed, done.busy, done.resume = 0, 0, False, after
        one = _Partition(self, self._store, partition, done, on_progress)
        try:
            await one.sweep(before_ms, wanted, self._archive, dry_run=self._dry_run)
        finally:
            if one.lease is not None:
                with suppress(StoreError):  # it is free once the session ends
                    await self._store.release([one.lease])
        return done

    async def acquire(self, partition: int) -> Lease | None:
        """Return the lease that fences what is written; None if another one sweeps the partition."""
        return next(iter(await self._store.acquire(self._session, SWEEP_INBOX, [partition])), None)

    def commit_id(self) -> str:
        """Return a new id for a commit."""
        self._commits += 1
        return f"{self._begun}/{self._commits}"


class _Partition:
    def __init__(
        self, by: Sweep, store: Store, partition: int, done: Pass, on_progress: Callable[[int], None] | None
    ) -> None:
        self._by, self._store, self._number, self._done, self._on_progress = by, store, partition, done, on_progress
        self.lease: Lease | None = None
        self._batch: list[Document] = []
        self._events = 0
        self._stays = False  # something was passed over that is to be looked at again
        self._failures = 0

    async def sweep(
        self, before_ms: int, wanted: Callable[[Document], bool], archive: Archive | None, *, dry_run: bool
    ) -> None:
        needed, position = Needed(self._store), self._done.resume
        resume = position
        while page := await self._store.read_closed(self._number, before_ms=before_ms, after=position, limit=PAGE):
            for document in page:
                position = document.closed_ms or 0, document.id
                stays = wanted(document) and not await self._takes(document, needed, archive, dry_run=dry_run)
                self._stays = self._stays or stays
                if not self._stays:
                    resume = position
                if self._failures >= FAILURES_MAX or not await self._forget(dry_run=dry_run, full=True):
                    break
            if not await self._forget(dry_run=dry_run):
                return
            if self._failures >= FAILURES_MAX or len(page) < PAGE:
                break
        self._done.resume = resume

    async def _takes(self, document: Document, needed: Needed, archive: Archive | None, *, dry_run: bool) -> bool:
        """Add `document` to what is forgotten next, archived; False if it stays for now."""
        try:
            if await needed.by_parent(read_run(document)):
                self._done.needed += 1
                return False
            if archive is None or dry_run:
                last = await self._store.read_last(self._number, document.id)
                events = 0 if last is None else last[0]
            else:
                if self.lease is None and not await self._lease():
                    return False
                run = await archived_run(self._store, self._number, document)
                events = len(run.records)
                answer = archive(run)
                if inspect.isawaitable(answer):
                    await answer
        except StoreError:
            raise
        except Exception as error:
            self._done.failed += 1
            self._failures += 1
            stack = None if isinstance(error, DurableError | OSError) else error
            _log.error(
                "run %s of %r cannot be archived, and is kept: %s: %s",
                document.id, document.name, type(error).__name__, error, exc_info=stack,
            )  # fmt: skip
            return False
        self._failures = 0
        self._batch.append(document)
        self._events += events
        return True

    async def _lease(self) -> bool:
        self.lease = await self._by.acquire(self._number)
        self._done.busy = self.lease is None
        return self.lease is not None

    async def _forget(self, *, dry_run: bool, full: bool = False) -> bool:
        """Forget what is in the batch, with `full` only if that is enough for a commit; False if another one sweeps here."""
        if self._done.busy:
            return False
        if not self._batch or (full and len(self._batch) < RUNS_MAX and self._events < EVENTS_MAX):
            return True
        batch, events = self._batch, self._events
        self._batch, self._events = [], 0
        if not dry_run and not await self._commit([(document.id, document.closed_ms or 0) for document in batch]):
            return False
        self._done.runs += len(batch)
        self._done.events += events
        for document in batch:
            self._done.by_workflow[document.kind] = self._done.by_workflow.get(document.kind, 0) + 1
            if not dry_run:
                telemetry.run_forgotten(document.kind)
        if self._on_progress is not None:
            self._on_progress(self._done.runs)
        return True

    async def _commit(self, runs: list[tuple[str, int]]) -> bool:
        if self.lease is None and not await self._lease():
            return False
        assert self.lease is not None
        clock = self._store.clock
        began_s = clock.monotonic()
        (refusal,) = await self._insist(Commit(self.lease, self._by.commit_id(), forgotten=runs))
        if refusal is not None:  # the session has expired, and another one sweeps here by now
            _log.info("partition %d is swept by another one: %s", self._number, refusal)
            self.lease, self._done.busy = None, True
            return False
        if clock.upkeep_s(PAUSE_S) is not None:
            await clock.sleep(max(PAUSE_S, clock.monotonic() - began_s))
        return True

    async def _insist(self, commit: Commit) -> list[Exception | None]:
        """Send `commit`, and again with the same id while its outcome is unknown: so what it removed is counted, and once."""
        for _ in range(TRIES - 1):
            try:
                return await self._store.commit([commit])
            except StoreUnavailableError:
                await self._store.clock.sleep(RETRY_S)
        return await self._store.commit([commit])
