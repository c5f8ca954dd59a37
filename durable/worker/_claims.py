"""Claims tasks from the store, as many as there are free slots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from .. import telemetry
from ..errors import StoreError
from ..stores import ClaimedTask, Store, tasks_topic
from ._slots import Mode, Slots

logger = logging.getLogger("durable.worker")

_POLL_S = 2.0  # a notification may be lost: then a task waits this long
_BATCH_MAX = (
    50  # tasks of one claim: bounds what one call holds on to, and what is handed back if this worker stops just then
)
_DOUBT_S = 1.0  # a commit's answer is here by then, unless the store is away altogether
_DOUBTFUL_MAX = 100_000  # tasks looked at for lost claims, oldest first: those that are claimed are among the oldest
_RETRY_S_MIN, _RETRY_S_MAX = 0.1, 10.0  # after an error of the store
_UNSURE_S = 0.1  # until the session is renewed, or begun anew


class Claimer:
    """Claims tasks of one mode for one queue, while slots of that mode are free.

    `start` runs each, given the moment (monotonic) at which the call that claimed it was made; it must not block. Nothing is
    claimed while the session is not alive for certain (`is_sure`): it would be handed back.

    With an engine in the same process (`shares`), half of the free slots are left to its short cut while a claim is
    under way: else each look into an empty queue would send its tasks the long way round.

    If the answer to a claim is lost, the store may hold tasks for this session of which nobody here knows (`knows`), and
    would for as long as the session lives: they are looked for, and handed back.
    """

    def __init__(
        self,
        store: Store,
        session: str,
        queue: str,
        mode: Mode,
        kinds: Sequence[str],
        slots: Slots,
        start: Callable[[ClaimedTask, float], None],
        *,
        shares: bool,
        knows: Callable[[str], bool],
        is_sure: Callable[[], bool],
    ) -> None:
        self._store, self._session, self._queue = store, session, queue
        self._mode: Mode = mode
        self._kinds, self._slots, self._start, self._shares = kinds, slots, start, shares
        self._knows, self._is_sure = knows, is_sure
        self._in_doubt = False
        self._stopping = False
        self._claiming = False
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Claim until stopped."""
        self._task = asyncio.current_task()
        watch = self._store.watch([tasks_topic(self._queue)])
        pause_s = _RETRY_S_MIN
        outage = telemetry.Outage(logger, f"no tasks could be claimed from queue {self._queue}")
        try:
            while not self._stopping:
                await self._wait_for_slot()
                if not self._is_sure():
                    await self._store.clock.sleep(_UNSURE_S)
                    continue
                try:
                    if self._in_doubt:
                        await self._hand_back_unknown()
                    limit, got = await self._claim()
                    pause_s = _RETRY_S_MIN
                    outage.ended()
                except StoreError as error:
                    outage.failed(error, pause_s)
                    await self._store.clock.sleep(pause_s)
                    pause_s = min(2 * pause_s, _RETRY_S_MAX)
                    self._in_doubt = True
                    continue
                if got < limit and not self._stopping:
                    await watch.wait(self._store.clock.upkeep_s(_POLL_S))
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            watch.close()

    def stop(self) -> None:
        """Claim no more. A claim under way is let finish, so that it is known what was claimed; it is handed back then."""
        self._stopping = True
        if self._task is not None and not self._claiming:
            self._task.cancel()

    def doubt(self) -> None:
        """The store may hold tasks for this session of which nobody here knows: look for them before the next claim."""
        self._in_doubt = True

    async def _hand_back_unknown(self) -> None:
        unknown = await self._unknown()
        if unknown:
            # A commit of the engine may be on its way back with tasks that it claimed: those are known by then.
            await self._store.clock.sleep(_DOUBT_S)
            unknown &= await self._unknown()
        if unknown:
            logger.warning(
                "%d tasks are claimed by this worker without its knowledge; they are handed back", len(unknown)
            )
            await self._store.unclaim(self._session, sorted(unknown))
        self._in_doubt = False

    async def _unknown(self) -> set[str]:
        found = await self._store.inspect.tasks(queue=self._queue, parked=False, limit=_DOUBTFUL_MAX)
        return {
            info.task.id
            for info in found
            if info.claimed_by == self._session and info.task.kind in self._kinds and not self._knows(info.task.id)
        }

    async def _wait_for_slot(self) -> None:
        slots = self._slots
        while slots.free_of(self._mode) <= 0:
            slots.freed.clear()
            await slots.freed.wait()

    async def _claim(self) -> tuple[int, int]:
        """Claim once; return how many tasks were asked for and how many came."""
        free = self._slots.free_of(self._mode)
        limit = min(max(1, free // 2) if self._shares else free, _BATCH_MAX)
        self._slots.take(self._mode, limit)
        unused, self._claiming = limit, True
        asked_s = self._store.clock.monotonic()
        try:
            claimed = await self._store.claim(self._session, self._queue, self._kinds, limit)
            if self._stopping:
                await self._store.unclaim(self._session, [each.task.id for each in claimed])
                return limit, 0
            for each in claimed:
                unused -= 1  # the slot is the task's from here on
                self._start(each, asked_s)
            return limit, len(claimed)
        finally:
            self._claiming = False
            if unused:
                self._slots.give(self._mode, unused)
