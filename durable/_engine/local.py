"""Local activities with their retries, while their step is held open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .._clock import Clock
from .._log import ActivityEnded, ActivityTask, AskQuery, CancelDue, QueueTimeoutDue, RetryDue, RetryRun, StartRun
from .._runtime.commands import LocalActivityCommand
from ..codec import Failure
from ..retry import DEFAULT_RETRY
from ..stores import Store
from ._local import LocalTasks
from .commits import Stepped
from .decision import Damaged, Decision, Delivery
from .execution import Execution
from .steps import deliver_local, deliver_more, finish, pending_local, retry_local

PAUSE_MS_MAX = 5_000  # a longer pause is a due: the step is committed first, so that no other message waits for it
EVENTS_MAX = 1_000  # past it, an open step takes no more messages: two activities in turn could hold it open for ever

_NOT_NOW = (RetryRun, StartRun, Damaged)  # what needs the run's state as committed, or is not for its code
_NO_STEP = (RetryDue, QueueTimeoutDue, CancelDue)  # dues that lead to no step by themselves


@dataclass(frozen=True, slots=True)
class LocalOutcome:
    """How an attempt ended, and when the next one is due if it is to be committed first (0: there is none)."""

    ended: ActivityEnded
    retry_ms: int = 0


class OpenStep:
    """A step that is held open while its local activities run: what happens to the run meanwhile is delivered into it.

    That is: their outcomes, timers (the step's own are not in the store yet), and messages, among them a cancellation. All of
    it is recorded with the rest of the step, in one commit.
    """

    def __init__(
        self,
        store: Store,
        local: LocalTasks,
        stepped: Stepped,
        watched: Callable[[Callable[[], None]], None],
    ) -> None:
        assert stepped.execution is not None
        self._store, self._local, self._watched = store, local, watched
        self._stepped, self._mailbox = stepped, stepped.mailbox
        self._execution, self._decision = stepped.execution, stepped.decision
        self._tasks: dict[int, asyncio.Task[LocalOutcome]] = {}
        self._arrived = asyncio.Event()
        # Questions: answered at the end of the step, which they must not keep from closing the run.
        self._asked: list[Delivery] = []

    async def run(self) -> None:
        """Run local activities until the step needs no more of them, and close the run if it has ended.

        Raises what makes the run stuck: the execution and the decision must be thrown away then.
        """
        self._mailbox.arrived = self._arrived
        self._arrived.set()  # something may have come already
        try:
            while waiting := pending_local(self._execution):
                self._start(waiting)
                await self._store.clock.wait(self._arrived, self._left_s())
                self._arrived.clear()
                for outcome in self._ended():
                    self._watched(partial(self._deliver, outcome))
                self._take()
            if self._asked:
                self._watched(
                    partial(deliver_more, self._execution, self._asked, self._now_ms(), self._decision)
                )  # fmt: skip
            finish(self._execution, self._decision)
            if self._execution.run is not None and self._execution.run.spoiled:
                self._execution.dispose()
        finally:
            self._mailbox.arrived = None
            for task in self._tasks.values():
                task.cancel()

    def _start(self, waiting: list[LocalActivityCommand]) -> None:
        wanted = {command.id for command in waiting}
        for command_id in [each for each in self._tasks if each not in wanted]:
            self._tasks.pop(command_id).cancel()  # the code has given it up
        for command in waiting:
            if command.id not in self._tasks:
                work = run_local_activity(self._local, self._store.clock, self._execution, command)
                task = self._tasks[command.id] = asyncio.create_task(work)
                task.add_done_callback(lambda _task: self._arrived.set())

    def _left_s(self) -> float | None:
        """Return how long nothing is due in this step."""
        times = [] if self._is_full else [due_ms for due_ms, _ in _steppable(self._decision)]
        return max(0.0, (min(times) - self._store.now_ms()) / 1000) if times else None

    def _ended(self) -> list[LocalOutcome]:
        ended = sorted(command_id for command_id, task in self._tasks.items() if task.done())
        return [self._tasks.pop(command_id).result() for command_id in ended]

    def _deliver(self, outcome: LocalOutcome) -> None:
        if outcome.retry_ms:
            retry_local(self._execution, outcome.ended, outcome.retry_ms, self._now_ms(), self._decision)
        else:
            deliver_local(self._execution, outcome.ended, self._now_ms(), self._decision)

    def _now_ms(self) -> int:
        run, now_ms = self._execution.run, self._store.now_ms()
        return now_ms if run is None else max(now_ms, run.now_ms)

    # --- what happens meanwhile

    @property
    def _is_full(self) -> bool:
        return len(self._decision.events) >= EVENTS_MAX

    def _take(self) -> None:
        """Deliver what has come for the run, in the order in which it came, and the step's own dues whose time has come."""
        if self._is_full or self._execution.closed:
            return
        taken = self._messages()
        self._stepped.deliveries.extend(taken)
        self._asked += [delivery for delivery in taken if isinstance(delivery.message, AskQuery)]
        taken = [delivery for delivery in taken if not isinstance(delivery.message, AskQuery)] + self._own_dues()
        if taken:
            self._watched(partial(deliver_more, self._execution, taken, self._now_ms(), self._decision))

    def _messages(self) -> list[Delivery]:
        mailbox, run_id = self._mailbox, self._execution.run_id
        count = 0
        for delivery in mailbox.deliveries:
            if isinstance(delivery.message, _NOT_NOW) or delivery.message.run_id not in (None, run_id):
                break  # what comes after it keeps its place
            count += 1
        taken, mailbox.deliveries = mailbox.deliveries[:count], mailbox.deliveries[count:]
        return taken

    def _own_dues(self) -> list[Delivery]:
        now_ms = self._store.now_ms()
        keys = [key for due_ms, key in sorted(_steppable(self._decision)) if due_ms <= now_ms]
        return [Delivery(self._mailbox.name, self._decision.dues.pop(key)[0]) for key in keys]


def _steppable(decision: Decision) -> list[tuple[int, str]]:
    return [(due_ms, key) for key, (item, due_ms) in decision.dues.items() if not isinstance(item, _NO_STEP)]


async def run_local_activity(
    local: LocalTasks, clock: Clock, execution: Execution, command: LocalActivityCommand
) -> LocalOutcome:
    """Run a local activity until it succeeds, its policy gives up, or the pause before its next attempt is a long one."""
    attempt = command.attempt
    while True:
        ended = await local.run_local(local_task(execution, command, attempt))
        now_ms = clock.now_ms()
        pause_ms = local_pause_ms(command, ended, clock.jitter, now_ms)
        if pause_ms is None:
            return LocalOutcome(ended)
        if pause_ms > PAUSE_MS_MAX:
            return LocalOutcome(ended, now_ms + pause_ms)
        await clock.sleep(pause_ms / 1000)
        attempt += 1


def local_task(execution: Execution, command: LocalActivityCommand, attempt: int) -> ActivityTask:
    """Return the task for `attempt` of a local activity."""
    run = execution.run
    assert run is not None
    return ActivityTask(
        workflow=run.spec.name,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=command.id,
        activity=command.event.activity,
        args=command.event.args,
        attempt=attempt,
        scheduled_ms=command.event.at,
        timeout_ms=command.call.options.timeout_ms,
        headers=command.event.headers,
    )


def local_pause_ms(
    command: LocalActivityCommand, ended: ActivityEnded, jitter: Callable[[], float], now_ms: int
) -> int | None:
    """Return the pause before the attempt after the one that `ended`, or None if that was the last: it succeeded or is given up."""
    if ended.failure is None:
        return None
    options = command.call.options
    policy = options.retry or DEFAULT_RETRY
    failure = Failure.from_wire(ended.failure)
    names = (failure.type.rpartition(".")[2], *failure.bases)
    if failure.retryable is False or policy.gives_up(ended.attempt, names):
        return None
    after_ms = failure.retry_after_ms
    pause_ms = policy.delay_ms(ended.attempt, jitter=jitter()) if after_ms is None else after_ms
    total_ms = options.total_timeout_ms
    if total_ms is not None and now_ms + pause_ms >= command.event.at + total_ms:
        return None  # the next attempt could not begin within the total time
    return pause_ms
