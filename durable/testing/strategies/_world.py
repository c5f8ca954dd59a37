"""The world around one run: virtual time, the order of deliveries, crashes. Single-threaded, without a store or an event loop.

It drives the engine's own pure core (`step`, `rebuild`) as the engine's driver does, and decides nothing by itself: what happens is in
the story.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any

from msgspec import structs

from ..._engine.decision import Damaged, Decision, Delivery
from ..._engine.execution import Execution as LiveExecution
from ..._engine.retries import queue_limit
from ..._engine.steps import finish, pending_local, step
from ..._log import (
    ActivityTask,
    AnyDue,
    CancelDue,
    ChildEnded,
    Message,
    QueueTimeoutDue,
    RequestCancel,
    RetryDue,
    SendSignal,
    StartRun,
)
from ..._runtime import guard
from ..._runtime.commands import ActivityCommand
from ...author import Workflow
from ...codec import Codec
from ...errors import NonDeterminismError
from ...history import WIRE, RecordedEvent
from ._attempts import Attempts, Running
from ._children import Children
from ._dropped import why_dropped
from ._execution import Answer, Entry, ExecutionError, reproducing
from ._family import Family
from ._local import run_local
from ._queries import ask
from ._replays import difference, divergence, error_of, rebuilt
from ._story import Arrival, Crash, Story
from ._updates import Updates

START_MS = 1_700_000_000_000  # any time will do, as long as it is the same in every execution
WORKFLOW_ID, RUN_ID = "the-run", "run"
NOTHING = Delivery(WORKFLOW_ID, Damaged("never delivered"))


class World:
    """One run and what happens to it. `run()` tells the story to its end."""

    def __init__(
        self,
        workflow: Workflow[..., Any],
        story: Story,
        codec: Codec,
        attempts: Attempts,
        *,
        name: str,
        max_events: int,
        family: Family,
        root: World | None = None,
        workflow_id: str = WORKFLOW_ID,
        run_id: str = RUN_ID,
    ) -> None:
        self.family, self.root, self.workflow_id, self.run_id = family, root, workflow_id, run_id
        self.ended_ms = 0  # when its code ended, or the last thing happened to it
        self.workflow, self.story, self.codec, self.name = workflow, story, codec, name
        self.attempts, self.max_events = attempts, max_events
        self.history: list[RecordedEvent] = []
        self.log: list[Entry] = []
        self.answers: list[Answer] = []
        self.updates = Updates(codec)
        self.steps = self.crashes = 0
        self.happened = 0  # what happened by itself: the start, results, timers; not what arrived
        self.error: BaseException | None = None  # that left the workflow's code
        self.cut_off = False
        self.execution = LiveExecution(workflow_id, run_id, workflow, codec)
        in_order = sorted(story.arrivals, key=lambda arrival: arrival.after)
        self._arrivals = deque(enumerate(in_order))
        self._in_order = in_order
        self._crashes = {crash.step: crash for crash in story.crashes}
        self.children = Children(attempts, codec, run_id, self._push, family)
        self._heap: list[tuple[int, int, Running | Message | str]] = []
        self._dues: dict[str, tuple[AnyDue, int, int]] = {}  # by key: the item, when it is due, its number in the heap
        self._count = 0
        self._down = 0

    def run(self) -> None:
        """Tell the whole story. Raises `ExecutionError`."""
        guard.install()
        message = StartRun(
            run_id=self.run_id,
            workflow=self.workflow.name,
            queue="default",
            args=self.story.args,
            request="start",
            timeout_ms=self.workflow.timeout_ms,
        )
        first = [Delivery(self.workflow_id, message)]
        joined = self._joined()
        self.happened = 1
        self._step(first + joined)
        while not self.execution.closed:
            if len(self.history) >= self.max_events:
                self.cut_off = True
                break
            if not self._proceed():
                break
        self.ended_ms = self.now_ms
        while self.family.proceed():
            pass  # children go on without their parent, or end by its close
        self.finish()
        while any(arrival.query for _, arrival in self._arrivals):  # a closed run answers queries too
            number, arrival = self._arrivals.popleft()
            if arrival.query:
                ask(self, number, arrival)

    def finish(self) -> None:
        """Nothing more happens to it."""
        self.attempts.end()
        self._check_all()

    # --- one of several runs

    @property
    def now_ms(self) -> int:
        """The time of all runs."""
        return self.family.now_ms

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        self.family.now_ms = now_ms

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return bool(self.execution.closed)

    def take(self, message: Message, at_ms: int) -> None:
        """Have `message` of another run delivered to it."""
        if isinstance(message, ChildEnded):
            self.children.heard(message, at_ms)
        if not self.closed:
            self._push(at_ms, message)

    def proceed(self) -> bool:
        """Let the next thing happen to a child; False if there is none."""
        happened = self._proceed()
        self.ended_ms = self.now_ms
        return happened

    def next_own_ms(self) -> int | None:
        """Return when the next thing happens to it by itself, or None."""
        if self.closed:
            return None
        self.cut_off = len(self.history) >= self.max_events
        if self.cut_off:
            return None
        while self._heap:
            at_ms, number, what = self._heap[0]
            if self._is_valid(number, what):
                return max(at_ms, self.now_ms)
            heapq.heappop(self._heap)
        return None

    # --- what happens next

    def _proceed(self) -> bool:
        """Let the next thing happen; False if there is none."""
        arrivals, upcoming = self._arrivals, self._next_ms()
        if arrivals and (upcoming is None or (arrivals[0][1].after <= self.happened and arrivals[0][1].how != "with")):
            number, arrival = arrivals.popleft()
            if arrival.how == "between" and upcoming is not None:
                self.now_ms += (upcoming - self.now_ms) // 2
            if arrival.query:
                ask(self, number, arrival)
            else:
                self._step([self._delivered(number, arrival)])
            return True
        if upcoming is None:
            return False
        batch: list[Delivery] = []
        wanted = 1 + self._down
        while len(batch) < wanted and (delivery := self._pop()) is not None:
            if delivery is not NOTHING:
                batch.append(delivery)
        if batch:
            self._down = 0
            joined = self._joined()
            self.happened += 1
            self._step(batch + joined)
        return True

    def _joined(self) -> list[Delivery]:
        """Return what arrives together with what is being delivered; queries are asked at once."""
        found: list[Delivery] = []
        while self._arrivals:
            arrival = self._arrivals[0][1]
            if not (arrival.after <= self.happened and (arrival.how == "with" or not self.happened)):
                break
            if arrival.query and self.execution.run is None:
                break  # there is nobody to ask yet
            number, arrival = self._arrivals.popleft()
            if arrival.query:
                ask(self, number, arrival)
            else:
                found.append(self._delivered(number, arrival))
        return found

    def _delivered(self, number: int, arrival: Arrival) -> Delivery:
        message: Message
        if arrival.twice:
            again = structs.replace(arrival, after=self.happened, how="", twice=False)
            self._arrivals.appendleft((number, again))
        if arrival.signal:
            message = SendSignal(name=arrival.signal, value=arrival.value, request=f"request-{number}")
        elif arrival.update:
            message = self.updates.sent(number, arrival, self.steps)
        else:
            message = RequestCancel(request=f"request-{number}")
        return Delivery(self.workflow_id, message)

    def _push(self, at_ms: int, what: Running | Message | str) -> int:
        self._count += 1
        heapq.heappush(self._heap, (at_ms, self._count, what))
        return self._count

    def _next_ms(self) -> int | None:
        """Return when the next thing happens by itself, to it or to a child of it, or None."""
        own_ms = self.next_own_ms()
        others_ms = self.family.next_ms() if self.root is None else None
        if own_ms is None or others_ms is None:
            return own_ms if others_ms is None else others_ms
        return min(own_ms, others_ms)

    def _is_valid(self, number: int, what: Running | Message | str) -> bool:
        if isinstance(what, str):
            due = self._dues.get(what)
            return due is not None and due[2] == number
        return not isinstance(what, Running) or what.reports

    def _pop(self) -> Delivery | None:
        """Take the next thing that happens by itself; `NOTHING` if the run is not asked about it."""
        own_ms, next_ms = self.next_own_ms(), self._next_ms()
        if next_ms is None:
            return None
        if own_ms is None or next_ms < own_ms:
            self.family.proceed()
            return NOTHING
        at_ms, _, what = heapq.heappop(self._heap)
        self.now_ms = max(self.now_ms, at_ms)
        if isinstance(what, Running):
            ended = what.report(self.now_ms, self._push, stop=self._has_cancelled(what))
            return Delivery(self.workflow_id, self.children.ended(what, ended) if what.child else ended)
        if not isinstance(what, str):
            return Delivery(self.workflow_id, what)
        item = self._dues.pop(what)[0]
        if isinstance(item, RetryDue):
            limit = queue_limit(item, self.now_ms)
            if limit is not None:
                self._set_due(*limit)
            self._begin(item.task)
        elif not isinstance(item, QueueTimeoutDue | CancelDue) or self.attempts.is_waiting(item):
            return Delivery(self.workflow_id, item, due_key=what)
        return NOTHING

    def _has_cancelled(self, running: Running) -> bool:
        command = self.execution.run.commands.get(running.id) if self.execution.run is not None else None
        return isinstance(command, ActivityCommand) and command.cancel_asked

    # --- one step

    def _step(self, deliveries: list[Delivery]) -> None:
        deliveries = self.updates.take_held() + deliveries
        crash = self._crashes.get(self.steps + 1) or self._crashes.get(0)
        if crash is not None and crash.lost:
            self._decide(deliveries)
            self._restart("the step was lost: the worker died before it was recorded")
        decision = self._decide(deliveries)
        self._commit(decision)
        self.steps += 1
        for text in self.updates.note(decision, self.execution.run):
            self.log.append(Entry(self.now_ms, text, self.steps))
        for delivery in deliveries:
            if why := why_dropped(delivery.message, decision.events, self.attempts.calls):
                self.log.append(Entry(self.now_ms, why, self.steps))
        if crash is not None:
            self._down = crash.down
            if not crash.lost and not self.execution.closed:
                self._check_replay("a crash", crash)

    def _decide(self, deliveries: list[Delivery]) -> Decision:
        decision = Decision()
        try:
            step(self.execution, deliveries, self.now_ms, decision)
            if pending_local(self.execution):
                run_local(self, decision)
                finish(self.execution, decision)
        except NonDeterminismError as error:
            raise self.broken("the workflow's code did what no replay could repeat", error) from error
        except ExecutionError:
            raise
        except Exception as error:
            raise self.broken("the run is stuck", error) from error
        return decision

    def _commit(self, decision: Decision) -> None:
        for event in decision.events:
            seq = len(self.history) + 1
            self.history.append(RecordedEvent.read(seq, WIRE.encode(event)))
            self.log.append(Entry(self.now_ms, event, self.steps + 1))
            self.attempts.note(event, self.codec)
        for key in decision.dues_removed:
            self._dues.pop(key, None)
        for task_id in decision.tasks_removed:
            self.attempts.drop(task_id)
        for item, due_ms in decision.dues.values():
            self._set_due(item, due_ms)
        for task, _queue in decision.tasks.values():
            self._begin(task)
        for outgoing in decision.outgoing:
            self.children.sent(outgoing, self.execution.run, self.now_ms)
        if decision.continued is not None and self.root is not None:
            self.family.start(self.workflow_id, decision.continued, self.now_ms)
        if decision.closed and self.execution.run is not None:
            self.error = error_of(self.execution)

    def _set_due(self, item: AnyDue, due_ms: int) -> None:
        self._dues[item.key] = (item, due_ms, self._push(due_ms, item.key))

    def _begin(self, task: ActivityTask) -> None:
        run = self.execution.run
        command = run.commands.get(task.id) if run is not None else None
        key = f"{self.run_id}/{task.id}"
        limits = tuple(kind for kind in ("queue", "total") if f"{key}/{kind}" in self._dues)
        running = self.attempts.begin(task, getattr(command, "call", None), self.now_ms, limits=limits, may_defer=True)
        if running.ends_ms is not None:
            self._push(running.ends_ms, running)

    # --- crashes

    def _check_replay(self, when: str, crash: Crash | None = None) -> None:
        """Replay the history, hold the result against the run as it is, and go on with the replayed one."""
        try:
            replayed = rebuilt(self.workflow, self.codec, self.history, self.workflow_id, self.run_id)
        except NonDeterminismError as error:
            raise self.broken(f"{when} could not be replayed", error) from error
        problem = difference(self.execution, replayed, self.history)
        if problem:
            replayed.dispose()
            raise self.broken(f"the replay after {when} came to something else: {problem}", None)
        self.execution.dispose()
        self.execution = replayed
        if crash is not None:
            self.crashes += 1
            down = f"; it is back after {crash.down} more happenings" if crash.down else ""
            self.log.append(Entry(self.now_ms, f"the worker died, and the run was replayed{down}", self.steps))

    def _check_all(self) -> None:
        """Replay the whole history once more, and compare more than a worker would."""
        problem = divergence(self.workflow, self.codec, self.history)
        if problem:
            raise self.broken(f"the replay of the whole history {problem}", None)
        self._check_replay("the end")

    def _restart(self, text: str) -> None:
        self.crashes += 1
        self.log.append(Entry(self.now_ms, text, self.steps))
        self.execution.dispose()
        try:
            self.execution = rebuilt(self.workflow, self.codec, self.history, self.workflow_id, self.run_id)
        except NonDeterminismError as error:
            raise self.broken("a crash could not be replayed", error) from error

    def told(self) -> Story:
        """Return the story as far as it was told: what did not come to pass is left out."""
        if self.root is not None:
            return self.root.told()
        steps = max([self.steps, *(child.steps for child in self.family.children)])
        first_left = min([number for number, _ in self._arrivals], default=len(self._in_order))
        arrivals = self._in_order[:first_left]
        crashes = [crash for crash in self.story.crashes if crash.step <= steps + 1]
        return self.attempts.fates.told(structs.replace(self.story, arrivals=arrivals, crashes=crashes)).shortened()

    def broken(self, what: str, error: BaseException | None) -> ExecutionError:
        """Return the error that shows this execution."""
        from ._timeline import timeline_of

        parts = [what + (f":\n{type(error).__name__}: {error}" if error is not None else "")]
        parts.append(timeline_of(self.workflow.name, self.log, None))
        story = self.told()
        parts.append(f"To make this execution again:\n{reproducing(self.name, story, self.family.ran())}")
        self.execution.dispose()
        return ExecutionError("\n\n".join(parts), story=story, events=len(self.history))
