"""Brings outcomes to the store where no engine of this process takes them, and hands back what cannot run here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from .._log import ActivityEnded, ended_entry
from ..errors import ClaimLostError, StoreError
from ..stores import ClaimedTask, Entry, Store

logger = logging.getLogger("durable.worker")

_RETRY_S_MIN, _RETRY_S_MAX = 0.1, 10.0  # between attempts to reach the store
_HOLD_S_MIN, _HOLD_S_MAX = 1.0, 60.0  # before a task that could not begin may be claimed again: no hot loop
_REFUSALS_KEPT = 1_000  # for how many tasks it is remembered how often they could not begin


class Delivery:
    """Outcomes and claims on their way back to the store. Belongs to one event loop.

    A result is tried until it is recorded or its claim is lost; meanwhile the keeper renews the claim. A task that could
    not begin is held for a while, without a slot, and then handed back: its delivery does not count.
    """

    def __init__(self, store: Store, session: str) -> None:
        self._store, self._session = store, session
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: dict[str, int] = {}
        self.under_way: dict[str, ClaimedTask] = {}
        self.held: dict[str, str] = {}  # by task: why it could not begin

    def deliver(self, claimed: ClaimedTask, ended: ActivityEnded, done: Callable[[], None]) -> None:
        """Record `ended` as the outcome of `claimed`, in the background; then call `done`."""
        self.under_way[claimed.task.id] = claimed
        self._spawn(self._deliver(claimed, ended, done))

    def forget(self, task_id: str) -> None:
        """Give up on the outcome that is under way for this task, if any: the task was given out anew."""
        self.under_way.pop(task_id, None)

    def hold(self, task_id: str, what: str, reason: str) -> None:
        """Keep the claim of a task that could not begin for a while, then hand it back. Reports `reason`."""
        count = self._refusals.pop(task_id, 0) + 1
        self._refusals[task_id] = count
        if len(self._refusals) > _REFUSALS_KEPT:
            del self._refusals[next(iter(self._refusals))]
        pause_s = min(_HOLD_S_MIN * 2 ** min(count - 1, 16), _HOLD_S_MAX)
        logger.error("%s cannot begin here (task %s, next try in %g s): %s", what, task_id, pause_s, reason)
        self.held[task_id] = f"{what} cannot begin: {reason}"
        self._spawn(self._hand_back_later(task_id, pause_s))

    def hand_back(self, task_id: str, what: str) -> None:
        """Hand back the claim of a task that may be lost, at once; if somebody else holds it by now, that is left alone."""
        logger.info("%s (task %s) does not begin and is handed back: its claim may be lost", what, task_id)
        self.held[task_id] = f"the claim of {what} was in doubt"
        self._spawn(self._hand_back_later(task_id, 0))

    def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _deliver(self, claimed: ClaimedTask, ended: ActivityEnded, done: Callable[[], None]) -> None:
        task = claimed.task
        entry = ended_entry(task.name, ended)
        try:
            await self._insist(lambda: self._complete(claimed, entry), f"the outcome of {task.kind}")
        except ClaimLostError as error:
            # Either another worker has it by now, or an earlier try of ours was applied and its answer lost.
            logger.debug("the outcome of %s (task %s) was dropped: %s", task.kind, task.id, error)
        finally:
            if self.under_way.get(task.id) is claimed:
                del self.under_way[task.id]
            done()

    async def _complete(self, claimed: ClaimedTask, entry: Entry) -> None:
        if self.under_way.get(claimed.task.id) is not claimed:
            raise ClaimLostError("the task was given out anew")
        await self._store.complete(self._session, claimed, entry)

    async def _hand_back_later(self, task_id: str, pause_s: float) -> None:
        if pause_s:
            await self._store.clock.sleep(pause_s)
        await self._insist(lambda: self._store.unclaim(self._session, [task_id]), f"the claim of {task_id}")
        self.held.pop(task_id, None)

    async def _insist(self, call: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
        """Make `call` until the store takes it. Raises `ClaimLostError`; anything else is logged and tried again."""
        clock, pause_s = self._store.clock, _RETRY_S_MIN
        while True:
            try:
                return await call()
            except ClaimLostError:
                raise
            except StoreError as error:
                logger.warning("%s could not be written, next try in %g s: %s", what, pause_s, error)
            except Exception:
                logger.exception("%s could not be written, next try in %g s", what, pause_s)
            await clock.sleep(pause_s * (1 - 0.5 * clock.jitter()))
            pause_s = min(2 * pause_s, _RETRY_S_MAX)

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
