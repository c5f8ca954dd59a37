"""The activities of one run: what becomes of each attempt by the story, and the record of calls and effects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import structs

from ..._log import ActivityBeat, ActivityEnded, ActivityTask, CancelDue, QueueTimeoutDue
from ..._runtime.options import ActivityCall
from ...codec import Codec, Failure, failure_of
from ...history import (
    ActivityCancelled,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetryScheduled,
    ActivityScheduled,
    ChildCompleted,
    ChildFailed,
    ChildStartFailed,
    ChildStartRequested,
    Event,
    LocalActivityCancelRequested,
    LocalActivityCompleted,
    LocalActivityFailed,
    LocalActivityScheduled,
    from_raw,
)
from ._deferred import Report, is_end, reports_of, stopped
from ._execution import Attempt, Call, offset
from ._fates import Fates
from ._story import UNSET, Fate, failure_in_full


class Running:
    """An attempt under way. `messages` is what it will report and when; `waits` says that no worker takes it. `child` is the id
    of the run that it stands for, or empty."""

    __slots__ = ("attempt", "child", "dropped", "fate", "id", "messages", "start_ms", "waits")

    def __init__(self, number: int, attempt: Attempt, fate: Fate, start_ms: int) -> None:
        self.id, self.attempt, self.fate, self.start_ms = number, attempt, fate, start_ms
        self.messages: deque[tuple[int, Report]] = deque()
        self.dropped = self.waits = False
        self.child = ""

    @property
    def ends_ms(self) -> int | None:
        """When it reports next, or None."""
        return self.messages[0][0] if self.messages else None

    @property
    def reports(self) -> bool:
        """Whether what it reports reaches the run."""
        return not self.dropped or self.fate.odd == "late"

    def report(self, now_ms: int, push: Callable[[int, Any], object], *, stop: bool = False) -> Report:
        """Return what it reports now; what it reports later is pushed.

        `stop`: the run has cancelled it, and waits for its end. The holder of its token hears of that, and stops unless it is late.
        """
        _, message = self.messages.popleft()
        if stop and self.fate.odd != "late" and (isinstance(message, ActivityBeat) or message.by_token):
            message = stopped(message)
            self.messages.clear()
        if is_end(message):
            self._end(message, now_ms)
        elif isinstance(message, ActivityEnded):
            self.attempt.deferred = True
        if self.messages:
            push(max(self.messages[0][0], now_ms), self)
        return message

    def time_out(self, kind: str, now_ms: int) -> None:
        """Its run has recorded its end: unless it was reported, a time limit has ended it, which nobody else watches once it was left to others."""
        if self.attempt.deferred and self.attempt.ended is None and not self.dropped:
            self.dropped = True
            self.attempt.ended = offset(now_ms, self.start_ms)
            self.attempt.how = f"ran out of time ({kind})" if kind else "ran out of time"

    def _end(self, message: ActivityEnded, now_ms: int) -> None:
        if self.attempt.ended is None:
            self.attempt.ended = offset(now_ms, self.start_ms)
        if message.how == "cancelled":
            self.attempt.how = "stopped"
        elif message.failure is None:
            self.attempt.effects = 2 if self.fate.odd == "lost" else 1
            if self.attempt.how == "running":
                self.attempt.how = "returned"
        elif self.attempt.how == "running":
            kind = Failure.from_wire(message.failure).type.removeprefix("builtins.")
            self.attempt.how = f"ran out of time ({message.timeout})" if message.timeout else f"raised {kind}"


class Attempts:
    """All attempts of one run."""

    def __init__(
        self,
        fates: Fates,
        codec: Codec,
        *,
        start_ms: int,
        say: Callable[[str], None],
    ) -> None:
        self.fates, self._codec, self._start_ms, self._say = fates, codec, start_ms, say
        self._persistent: dict[int, Fate] = {}
        self._running: dict[str, Running] = {}
        self._latest: dict[int, Running] = {}  # by the number of the call: that of its last attempt
        self.calls: dict[int, Call] = {}

    # --- what the world tells

    def begin(
        self,
        task: ActivityTask,
        call: ActivityCall | None,
        now_ms: int,
        *,
        limits: Sequence[str],
        may_defer: bool = False,
    ) -> Running:
        """An attempt begins. `limits` are the time limits that the engine watches over; `may_defer`: it has a token."""
        if call is not None:
            self.fates.learn(task.activity, call)
        record = self._call(task.id, task.activity, task.args, task.scheduled_ms)
        fate = self._persistent.get(task.id)
        if fate is None:
            fate = self.fates.next(task, record, limits)
            if fate.always:
                self._persistent[task.id] = fate
        if fate.later and not may_defer:
            fate = structs.replace(fate, later="", beats=0)
        attempt = Attempt(task.attempt, offset(now_ms, self._start_ms))
        record.attempts.append(attempt)
        running = self._running[task.task_id] = self._latest[task.id] = Running(task.id, attempt, fate, self._start_ms)
        self._plan(running, task, now_ms, limits)
        if fate.odd == "lost":
            self._say(
                f"{task.activity} #{task.id}: the worker dies after attempt {task.attempt} took effect; it runs again"
            )
        return running

    def drop(self, task_id: str) -> None:
        """The run does not want the result of this attempt any more."""
        running = self._running.get(task_id)
        if running is not None and running.attempt.ended is None and not running.dropped:
            running.dropped = True
            if not running.waits:
                running.attempt.how = "given up"

    def end(self) -> None:
        """The story is over: what ran on took effect if it says so."""
        for task_id, running in self._running.items():
            attempt, fate = running.attempt, running.fate
            if fate.odd == "late" and fate.value is not UNSET and running.dropped and not attempt.effects:
                attempt.effects, attempt.how = 1, "given up, but took effect"
                call = self.calls[int(task_id.split("/")[-2])]
                self._say(f"{call.activity} #{call.id} took effect, although the run gave it up")

    def since_start(self, at_ms: int) -> timedelta:
        """Return a time as the record of calls has it."""
        return offset(at_ms, self._start_ms)

    def is_waiting(self, item: QueueTimeoutDue | CancelDue) -> bool:
        """Return whether no worker has taken the attempt whose time in its queue is over, or that is cancelled."""
        running = self._running.get(f"{item.run_id}/{item.id}/{item.attempt}")
        return running is not None and running.waits

    def note(self, event: Event, codec: Codec) -> None:
        """Take an event of the history into the record of calls."""
        if isinstance(event, ActivityScheduled | LocalActivityScheduled):
            call = self._call(event.id, event.activity, event.args, event.at)
            call.local = isinstance(event, LocalActivityScheduled)
        elif isinstance(event, ChildStartRequested):
            self._call(event.id, f"child {event.workflow}", event.args, event.at)
        elif isinstance(event, ActivityCompleted | LocalActivityCompleted | ChildCompleted):
            call = self.calls[event.id]
            call.status, call.ended = "completed", offset(event.at, self._start_ms)
            call.result = self.fates.signature(call.activity).decode_result(
                codec, from_raw(event.result), what=call.activity
            )
        elif isinstance(event, ActivityRetryScheduled):
            self._latest[event.id].time_out("", event.at)
        elif isinstance(event, ActivityFailed | LocalActivityFailed | ChildFailed | ChildStartFailed):
            call = self.calls[event.id]
            if isinstance(event, ActivityFailed) and event.id in self._latest:
                self._latest[event.id].time_out(event.timeout, event.at)
            cancelled = isinstance(event, ChildFailed) and event.status == "cancelled"
            call.status, call.ended = "cancelled" if cancelled else "failed", offset(event.at, self._start_ms)
        elif isinstance(event, ActivityCancelRequested | ActivityCancelled | LocalActivityCancelRequested):
            call = self.calls[event.id]
            call.status, call.ended = "cancelled", offset(event.at, self._start_ms)

    def finished_calls(self) -> tuple[Call, ...]:
        """Return the calls in the order in which they were asked for."""
        return tuple(self.calls[number] for number in sorted(self.calls))

    # --- inside

    def _call(self, number: int, name: str, args: msgspec.Raw, at_ms: int) -> Call:
        call = self.calls.get(number)
        if call is None:
            values, kwargs = self.fates.signature(name).decode_call(
                self._codec, from_raw(args), what=f"activity {name}"
            )
            call = self.calls[number] = Call(number, name, values, kwargs, offset(at_ms, self._start_ms))
        return call

    def _plan(self, running: Running, task: ActivityTask, now_ms: int, limits: Sequence[str]) -> None:
        """Decide what the attempt reports, and when."""
        fate, limit_ms = running.fate, task.timeout_ms
        ids: dict[str, Any] = {"run_id": task.run_id, "id": task.id, "attempt": task.attempt}
        takes_ms = fate.takes_ms * (2 if fate.odd == "lost" else 1)
        result = ActivityEnded(result=fate.value, **ids) if fate.value is not UNSET else None
        if fate.own:
            return  # its run says how it ends
        if fate.stuck == "queued":
            running.waits = True
            running.attempt.how = "no worker took it"
            return
        if fate.later and (reports := reports_of(fate, task, now_ms, self._codec)):
            running.messages.extend(reports)
            return
        if fate.stuck == "running" or (limit_ms is not None and takes_ms >= limit_ms):
            ended = _timed_out(task, ids, self._codec)
            if ended is None:
                return  # until the total time is over
            ends_ms = now_ms + (limit_ms if limit_ms is not None else task.heartbeat_timeout_ms or 0)
            running.messages.append((ends_ms, ended))
            if fate.odd == "late" and result is not None:
                running.messages.append((ends_ms + max(takes_ms - (ends_ms - now_ms), 1), result))
            return
        ended = ActivityEnded(failure=failure_in_full(fate.failure), **ids) if fate.failure is not None else result
        assert ended is not None
        running.messages.append((now_ms + takes_ms, ended))
        if fate.odd == "twice":
            running.messages.append((now_ms + 2 * takes_ms, ended))


def _timed_out(task: ActivityTask, ids: dict[str, Any], codec: Codec) -> ActivityEnded | None:
    """Return what a worker reports of an attempt whose time is up; None if it has no time limit of its own."""
    limit_ms = task.timeout_ms if task.timeout_ms is not None else task.heartbeat_timeout_ms
    if limit_ms is None:
        return None
    kind, what = ("attempt", "result") if task.timeout_ms is not None else ("heartbeat", "heartbeat")
    error = TimeoutError(f"no {what} within {limit_ms / 1000:g} s")
    return ActivityEnded(failure=failure_of(error, codec).as_wire(), timeout=kind, **ids)
