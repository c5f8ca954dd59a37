"""Runs activities: takes tasks from the store and from the engine of this process, and sees that each outcome is reported."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from .._log import ActivityEnded, ActivityTask, read_task
from ..author import Activity
from ..codec import Codec
from ..errors import DamagedRecordError, DefinitionError, StoreError
from ..interceptors import Interceptor, chained
from ..stores import ClaimedTask, Store
from ._attempt import Attempt
from ._claims import Claimer
from ._delivery import Delivery
from ._intercepted import run_activity
from ._modes import Modes, timed_out
from ._outcome import failed, log_failure, stopped
from ._plans import Plan
from ._progress import Progress
from ._slots import Mode, Slots
from ._time_limits import PATIENCE_S, TimeLimits

logger = logging.getLogger("durable.worker")


class Runner:
    """The activities of one worker. Implements the engine's `LocalTasks`. Belongs to one event loop.

    An attempt is in `_running` while its outcome is open: from its start until it ended, its time was up, or its claim was
    lost or handed back. Its code may run on after that; it keeps its slot until it ends, and what it gives is dropped.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        session: str,
        queue: str,
        activities: Mapping[str, Activity[..., object]],
        slots: Slots,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self._store, self._session, self._queue, self._slots = store, session, queue, slots
        self._clock, self.monotonic = store.clock, store.clock.monotonic
        self._codec = codec
        self._execute = chained(interceptors, "run_activity", run_activity)
        self._plans = {name: self._plan(activity) for name, activity in activities.items()}
        self._kinds: dict[Mode, list[str]] = {"async": [], "thread": [], "process": []}
        for plan in self._plans.values():
            self._kinds[plan.mode].append(plan.name)
        self._running: dict[str, Attempt] = {}
        self._lingering = set[Attempt]()
        self._handed_back: list[str] = []
        self._open, self._idle = True, asyncio.Event()
        self._modes = Modes(self, codec, threads=max(slots.free_of("thread"), 1))
        self._delivery = Delivery(store, session)
        self._progress = Progress(store, session, self._is_lost)
        self._limits = TimeLimits(store.clock, self)
        self._claimers: list[Claimer] = []
        self.accept: Callable[[ClaimedTask, ActivityEnded, float], bool] = lambda _task, _ended, _asked_s: False
        self.is_sure: Callable[[float], bool] = lambda _since_s: True  # see `Keeper.is_sure`

    # --- what the engine asks for

    def reserve(self, queue: str, activity: str) -> bool:
        """See `LocalTasks`."""
        plan = self._plans.get(activity)
        return plan is not None and self._open and queue == self._queue and self._slots.reserve(plan.mode)

    def doubt(self) -> None:
        """See `LocalTasks`."""
        for claimer in self._claimers:
            claimer.doubt()

    def unreserve(self) -> None:
        """See `LocalTasks`."""
        self._slots.unreserve()

    def run(self, claimed: ClaimedTask, task: ActivityTask, asked_s: float) -> None:
        """See `LocalTasks`."""
        plan = self._plans[task.activity]
        self._slots.confirm(plan.mode)
        self._start(plan, task, claimed, asked_s)

    def cancel(self, task_ids: Sequence[str]) -> None:
        """See `LocalTasks`. The claim is held until the code has ended; its time limits go on."""
        for task_id in task_ids:
            if (attempt := self._running.get(task_id)) is not None and not (attempt.cancel_asked or attempt.verdict):
                attempt.cancel_asked = True
                self._modes.stop(attempt)

    async def run_local(self, task: ActivityTask) -> ActivityEnded:
        """See `LocalTasks`. Raises `DefinitionError` for an unknown activity, and what keeps its arguments from being read."""
        plan = self._plans.get(task.activity)
        if plan is None:
            raise DefinitionError(f"the local activity {task.activity!r} is not registered with its workflow's worker")
        attempt = self._start(plan, task, None, self.monotonic())
        assert attempt.local is not None
        try:
            return await attempt.local
        except asyncio.CancelledError:
            self._give_up(attempt, "lost")
            raise

    # --- claiming

    async def claim(self, mode: Mode, *, shares: bool) -> None:
        """Claim and start tasks of `mode` until `close_intake`; see `Claimer`. Returns at once if there are no activities of it."""
        kinds = self._kinds[mode]
        if kinds:
            claimer = Claimer(
                self._store, self._session, self._queue, mode, kinds, self._slots, self._start_claimed,
                shares=shares, knows=self.knows, is_sure=lambda: self.is_sure(math.inf),
            )  # fmt: skip
            self._claimers.append(claimer)
            await claimer.run()

    def offer(self, activity: Activity[..., object]) -> None:
        """Run `activity` as well from now on. One of its mode must have been known from the start: its claimer takes both."""
        plan = self._plans[activity.name] = self._plan(activity)
        self._kinds[plan.mode].append(plan.name)

    def _plan(self, activity: Activity[..., object]) -> Plan:
        return Plan(activity, self._codec, self._queue, self._execute)

    def knows(self, task_id: str) -> bool:
        """Return whether the claim of this task, if it is one of this process, is in good hands."""
        delivery = self._delivery
        return task_id in self._running or task_id in delivery.under_way or task_id in delivery.held

    def _start_claimed(self, claimed: ClaimedTask, asked_s: float) -> None:
        plan = self._plans[claimed.task.kind]
        try:
            task = read_task(claimed.task)
        except DamagedRecordError as error:
            self._slots.give(plan.mode)
            self._delivery.hold(claimed.task.id, f"activity {plan.name}", str(error))
            return
        if claimed.cancelled:  # before anybody began it: it does not begin any more
            self._slots.give(plan.mode)
            self._delivery.deliver(claimed, stopped(task), self._note_idle)
        else:
            self._start(plan, task, claimed, asked_s)

    def _start(self, plan: Plan, task: ActivityTask, claimed: ClaimedTask | None, asked_s: float) -> Attempt:
        attempt = Attempt(plan, task, claimed, self, started=asked_s, started_ms=self._store.now_ms())
        if claimed is None:
            attempt.local = asyncio.get_running_loop().create_future()
        if attempt.key in self._running:  # the store gave it to us anew, so the claim of the first one is gone
            self._give_up(self._running[attempt.key], "lost")
        self._delivery.forget(attempt.key)
        self._running[attempt.key] = attempt
        self._modes.start(attempt)
        return attempt

    # --- what attempts do (see `AttemptEvents` and `Observer`)

    def may_begin(self, attempt: Attempt) -> bool:
        """See `AttemptEvents`."""
        return not attempt.cancelled and (attempt.claimed is None or self.is_sure(attempt.started))

    def begun(self, attempt: Attempt) -> None:
        """See `AttemptEvents`."""
        self._limits.begin(attempt)

    def ended(self, attempt: Attempt, ended: ActivityEnded | None) -> None:
        """See `AttemptEvents`."""
        if ended is None and attempt.cancel_asked and not attempt.verdict:
            ended = stopped(attempt.task)
        if ended is None and not attempt.verdict and self._running.get(attempt.key) is attempt:
            if self._open:
                self._limits.await_shutdown(attempt)
                return
            attempt.verdict = "stop"
        attempt.ended = True
        if self._running.get(attempt.key) is attempt:
            self._settle(attempt, ended)
        else:
            self._lingering.discard(attempt)
            self._free(attempt)

    def not_begun(self, attempt: Attempt) -> None:
        """See `AttemptEvents`."""
        if attempt.cancelled:
            self.ended(attempt, timed_out(attempt) if attempt.verdict in ("attempt", "heartbeat") else None)
        elif self._forget_unbegun(attempt):
            self._delivery.hand_back(attempt.key, f"activity {attempt.plan.name}")

    def _forget_unbegun(self, attempt: Attempt) -> bool:
        """Give back the slot of an attempt whose code did not begin; False if it is not the current one of its task."""
        attempt.ended = True
        self._lingering.discard(attempt)
        self._free(attempt)
        if self._running.get(attempt.key) is not attempt:
            return False
        del self._running[attempt.key]
        self._note_idle()
        return True

    def unreadable(self, attempt: Attempt, error: Exception) -> None:
        """See `AttemptEvents`."""
        if not self._forget_unbegun(attempt):
            return
        if attempt.claimed is not None:
            self._delivery.hold(attempt.key, f"activity {attempt.plan.name}", f"{type(error).__name__}: {error}")
        else:
            attempt.end_local(error)

    def wants_progress(self, attempt: Attempt) -> None:
        """See `Observer`."""
        self._modes.call(partial(self._progress.write, attempt))

    def _settle(self, attempt: Attempt, ended: ActivityEnded | None) -> None:
        """The outcome of `attempt` is known: report it. Its slot is free once its code has ended and the outcome is on its way."""
        claimed = attempt.claimed
        del self._running[attempt.key]
        if ended is not None and ended.failure is not None:
            log_failure(attempt.task, ended.failure)
        self._progress.end(attempt)
        if claimed is None:
            attempt.end_local(ended)
        elif ended is None:
            if attempt.verdict != "lost":
                self._handed_back.append(claimed.task.id)
        elif not self.accept(claimed, ended, attempt.started):
            self._delivery.deliver(claimed, ended, partial(self._delivered, attempt, attempt.ended))
            return
        if attempt.ended:
            self._free(attempt)
        self._note_idle()

    def _delivered(self, attempt: Attempt, holds_slot: bool) -> None:
        if holds_slot:
            self._free(attempt)
        self._note_idle()

    def _free(self, attempt: Attempt) -> None:
        """The code of `attempt` has ended."""
        attempt.release()
        if attempt.claimed is not None:
            self._slots.give(attempt.plan.mode)

    def _note_idle(self) -> None:
        if not self._open and self.is_idle:
            self._idle.set()

    # --- stopping attempts

    def lost(self, task_ids: Sequence[str]) -> None:
        """See `LocalTasks`; also for claims that the keeper found to be lost."""
        for task_id in task_ids:
            if (attempt := self._running.get(task_id)) is not None:
                self._is_lost(attempt)

    def _is_lost(self, attempt: Attempt) -> None:
        if not attempt.ended:
            logger.info("the claim of activity %s (task %s) is lost, it is to stop", attempt.plan.name, attempt.key)
            self._give_up(attempt, "lost")

    def _give_up(self, attempt: Attempt, verdict: str) -> None:
        """Tell the code to stop, and forget the attempt: what its code gives is dropped."""
        if self._running.get(attempt.key) is attempt:
            del self._running[attempt.key]
            attempt.verdict = verdict
            self._linger(attempt)
            self._modes.stop(attempt)
            self._limits.be_patient(attempt)
            self._note_idle()

    def _linger(self, attempt: Attempt) -> None:
        self._lingering.add(attempt)
        self._progress.end(attempt)

    def time_is_up(self, attempt: Attempt) -> None:
        """See `Enforcer`."""
        if attempt.plan.mode == "async":
            # Its cleanup belongs to this attempt: the next one should not start while it is under way.
            self._modes.stop(attempt)
        else:
            self._modes.stop(attempt, now=True)
            self._linger(attempt)
            self._settle(attempt, timed_out(attempt))
        self._limits.be_patient(attempt)

    def stray(self, attempt: Attempt) -> None:
        """See `Enforcer`."""
        error = asyncio.CancelledError("the activity's task was cancelled, and not by its worker")
        self.ended(attempt, failed(attempt.plan, attempt.task, attempt, error))

    def out_of_patience(self, attempt: Attempt) -> None:
        """See `Enforcer`."""
        if attempt.job is not None:
            self._modes.stop(attempt, now=True)
            return
        logger.warning(
            "activity %s (task %s) goes on although it was told to stop; it keeps its slot until it ends",
            attempt.plan.name, attempt.key,
        )  # fmt: skip
        if self._running.get(attempt.key) is attempt and attempt.verdict in ("attempt", "heartbeat"):
            self._linger(attempt)
            self._settle(attempt, timed_out(attempt))

    # --- the worker's life

    @property
    def is_idle(self) -> bool:
        """Whether no outcome is open."""
        return not self._running and not self._delivery.under_way

    @property
    def running(self) -> int:
        """How many activities run here."""
        return len(self._running)

    @property
    def known(self) -> frozenset[str]:
        """The names of the activities that run here."""
        return frozenset(self._plans)

    async def watch_time(self) -> None:
        """Enforce the time limits of attempts until cancelled."""
        await self._limits.run()

    def claims(self) -> list[str]:
        """Return the ids of the tasks that are held. Thread-safe."""
        running, delivering = list(self._running.values()), list(self._delivery.under_way)
        return [each.key for each in running if each.claimed is not None] + delivering

    def close_intake(self) -> None:
        """Take no more tasks, neither from the store nor from the engine."""
        self._open = False
        for claimer in self._claimers:
            claimer.stop()
        for attempt in self._limits.take_strays():
            self.ended(attempt, None)
        self._note_idle()

    async def wait_until_idle(self, timeout_s: float | None) -> bool:
        """Wait until no outcome is open; False after `timeout_s`, or if `hurry` was called. After `close_intake` only."""
        await self._clock.wait(self._idle, timeout_s)
        return self.is_idle

    def hurry(self) -> None:
        """End `wait_until_idle` at once."""
        self._idle.set()

    async def give_up_all(self, *, patience: bool) -> None:
        """Tell what runs to stop, wait a moment for that if `patience`, and hand all claims back. After `close_intake` only."""
        self._idle.clear()
        for attempt in list(self._running.values()):
            attempt.verdict = attempt.verdict or "stop"
            self._modes.stop(attempt, now=not patience)
        self._note_idle()
        if patience:
            await self.wait_until_idle(PATIENCE_S)
        left = list(self._running.values())
        if left:
            names = sorted({attempt.plan.name for attempt in left})
            logger.warning("%d running activities did not stop and are left alone: %s", len(left), ", ".join(names))
        ids = [each.key for each in left if each.claimed is not None]
        self._running.clear()
        self._lingering.update(left)
        self._delivery.stop()
        claims = [*self._handed_back, *ids, *self._delivery.held, *self._delivery.under_way]
        if claims:
            try:
                await self._store.unclaim(self._session, claims)
            except StoreError as error:
                logger.warning("claims could not be handed back; they expire with the session: %s", error)

    def close(self) -> None:
        """Let go of threads and processes; those that are still busy are abandoned or killed."""
        self._modes.close(kill=True)
