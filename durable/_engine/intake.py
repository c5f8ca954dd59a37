"""What comes in: reads the inboxes and dues of owned partitions, and posts it to the runs that it is for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .. import _limits
from .._log import CancelDue, QueueTimeoutDue, RetryDue, read_due, read_message, task_id
from ..errors import DurableError, StoreError
from ..stores import Due, Store
from .commits import Committer, Prepared
from .decision import Damaged, Delivery
from .lost import find_lost, is_lost
from .owned import FOREVER_MS, HORIZON_MS, REFRESH_MS, Owned
from .unheld import Unheld

_log = logging.getLogger("durable.engine")

DUES_PAGE = 10_000  # dues read at once
CROWDED_MS = 100  # and at the earliest after this long, if that page was full
BACKLOG_MAX = 4 * _limits.BATCH_MESSAGES_MAX  # runs ready to step; beyond it, the inboxes are left for later


class Intake:
    """Reads for the engine. `submit` sends a commit, `spawn` runs a coroutine beside the loop, `wake` lets the loop look again.

    `went_back` is told of a partition of which the store has lost something.
    """

    def __init__(
        self,
        store: Store,
        committer: Committer,
        submit: Callable[[list[Prepared]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        wake: Callable[[], None],
        went_back: Callable[[Owned, str], None],
    ) -> None:
        self._store, self._committer, self._went_back = store, committer, went_back
        self._submit, self._spawn, self._wake = submit, spawn, wake
        self._unheld = Unheld(store, committer, submit, wake)

    async def read(self, owned_partitions: Sequence[Owned]) -> None:
        """Read the inboxes that may have something new, and the dues that come near."""
        now_ms = self._store.now_ms()
        reading: list[Owned] = []
        for owned in owned_partitions:
            if owned.unread and not owned.leaving and owned.backlog() < BACKLOG_MAX:
                owned.unread = False
                reading.append(owned)
            if owned.refresh_ms <= now_ms:
                await self._read_dues(owned, now_ms)
        if not reading:
            return
        limit = _limits.BATCH_MESSAGES_MAX
        try:
            answers = await self._store.read_inboxes([(owned.lease, owned.cursor - 1) for owned in reading], limit + 1)
        except StoreError:
            for owned in reading:
                owned.unread = True
            raise
        for owned, entries in zip(reading, answers, strict=True):
            if owned.cursor and is_lost(owned, owned.cursor, owned.newest, entries):
                # The numbers of what is lost are given out again: with those of the new entries they would be consumed unseen.
                owned.unread = True
                for lost, what in await find_lost(self._store, [owned]):
                    self._went_back(lost, what)
                continue
            entries = [entry for entry in entries if entry.seq > owned.cursor]
            owned.unread = owned.unread or len(entries) >= limit
            left_over, owned.caught_up = not owned.caught_up, owned.caught_up or len(entries) < limit
            for entry in entries:
                owned.cursor, owned.newest = entry.seq, entry.id
                message: object
                try:
                    message = read_message(entry.data)
                except DurableError as error:
                    message = Damaged(str(error))
                owned.post(Delivery(entry.name, message, seq=entry.seq, entry=entry.id))
                if left_over:
                    owned.mailboxes[
                        entry.name
                    ].reload = True  # an earlier owner may have found the run stuck, and said so

    async def _read_dues(self, owned: Owned, now_ms: int) -> None:
        horizon_s = self._store.clock.upkeep_s(HORIZON_MS / 1000)
        until_ms = FOREVER_MS if horizon_s is None else now_ms + HORIZON_MS
        owned.begin_reading_dues()
        limit = DUES_PAGE + owned.fired  # those may be in front of all others for as long as their runs are stuck
        dues = await self._store.read_dues(owned.lease, until_ms=until_ms, limit=limit)
        if len(dues) < limit:
            owned.learn_dues(dues, until_ms, FOREVER_MS if until_ms >= FOREVER_MS else until_ms - REFRESH_MS)
            return
        # There are more than one page of them in the near future: read on when half of these have fired, not at once.
        until_ms = dues[-1].due_ms
        owned.learn_dues(dues, until_ms, max(now_ms + CROWDED_MS, (now_ms + until_ms) // 2))

    def fire(self, owned: Owned, prepared: Prepared, now_ms: int) -> None:
        """Carry out what is due by `now_ms`: post it to its run, or, where the run need not be asked, add it to the commit."""
        owned.wake_delayed(now_ms)
        limits: dict[str, list[tuple[Due, QueueTimeoutDue]]] = {}
        cancelled: dict[str, list[tuple[Due, CancelDue]]] = {}
        fired = 0
        while fired < _limits.BATCH_MESSAGES_MAX and (due := owned.pop_due(now_ms)) is not None:
            fired += 1
            try:
                item = read_due(due)
            except DurableError as error:
                _log.error("a due entry is dropped: %s", error)
                prepared.commit.dues_removed.append(due.key)
                prepared.fired.append(due)
                continue
            if isinstance(item, RetryDue):
                self._committer.add_retry(prepared, item, due)
            elif isinstance(item, QueueTimeoutDue):
                limits.setdefault(item.workflow_id, []).append((due, item))
            elif isinstance(item, CancelDue):
                cancelled.setdefault(item.workflow_id, []).append((due, item))
            else:
                owned.post(Delivery(item.workflow_id, item, due_key=due.key))
        for name, passed in limits.items():
            self._spawn(self._check_waiting(owned, name, passed))
        for name, asked in cancelled.items():
            self._spawn(self._unheld.check(owned, name, asked))

    async def _check_waiting(self, owned: Owned, name: str, limits: Sequence[tuple[Due, QueueTimeoutDue]]) -> None:
        """The time that attempts of `name` may wait in their queue is over: that matters only where no worker holds them."""
        waiting = {info.task.id for info in await self._unheld.tasks_of(name) if info.claimed_by is None}
        prepared = self._committer.prepare(owned)
        for due, item in limits:
            if task_id(item.run_id, item.id, item.attempt) in waiting:
                owned.post(Delivery(name, item, due_key=due.key))
            else:
                prepared.commit.dues_removed.append(due.key)
                prepared.fired.append(due)
        if prepared.fired:
            self._submit([prepared])
        self._wake()
