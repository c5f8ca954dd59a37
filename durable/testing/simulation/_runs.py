"""What the history of a run says is pending: told from its events alone, without the engine."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ..._log import outgoing_key
from ...history import (
    ActivityCancelled,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityDeferred,
    ActivityFailed,
    ActivityRetryScheduled,
    ActivityScheduled,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    ChildStartFailed,
    ChildStartRequested,
    Close,
    Event,
    ExternalCancelRequested,
    ExternalDelivered,
    ExternalFailed,
    ExternalSignalRequested,
    LocalActivityCompleted,
    LocalActivityFailed,
    Parent,
    RunCompleted,
    RunContinuedAsNew,
    RunForked,
    RunReopened,
    RunStarted,
    RunTerminated,
    RunTimedOut,
    SignalReceived,
    TimerCancelled,
    TimerFired,
    TimerStarted,
    UpdateAccepted,
    UpdateCompleted,
)


class _Events(list[tuple[int, Event]]):
    """Events with their numbers: they never change, so a copy of the list shares them."""

    def __deepcopy__(self, _memo: object) -> _Events:
        return _Events(self)


@dataclass(slots=True)
class RunModel:
    """A run as its events tell it. `add` returns what is wrong with an event in this place, or "".

    `early_ms` is how much earlier than it is due a timer may fire: not at all, unless the clock goes back.
    """

    run_id: str
    partition: int
    workflow_id: str = ""
    seq: int = 0
    closed: str = ""
    activities: dict[int, int] = field(default_factory=dict[int, int])  # the current attempt of each pending one
    timers: dict[int, int] = field(default_factory=dict[int, int])  # when each pending one is due
    outgoing: dict[int, str] = field(default_factory=dict[int, str])  # the key of each message on its way
    asked: set[str] = field(default_factory=set[str])  # those of all messages to other runs, delivered ones too
    children: dict[int, str] = field(
        default_factory=dict[int, str]
    )  # the run of each pending one, empty before its start
    parent: Parent | None = None
    ended: set[int] = field(default_factory=set[int])  # activities, local ones too, whose outcome is recorded
    signals: list[str] = field(default_factory=list[str])  # request ids, in order
    updates: dict[str, bool] = field(default_factory=dict[str, bool])  # by id: whether it is completed
    cancelled: bool = False
    reopened: int = 0
    started_ms: int = 0
    closed_ms: int = 0
    limits_ms: dict[str, int] = field(default_factory=dict[str, int])  # until when, by kind: "run", "execution"
    timed_out: str = ""  # by which of them
    ended_by: str = ""  # the request that terminated it
    forked: tuple[str, int] = ("", 0)  # from which run, up to which event of it
    order: int = 0  # by its first commit, among all runs
    patient: set[int] = field(default_factory=set[int])  # activities whose end is waited for when they are cancelled
    stopping: set[int] = field(default_factory=set[int])  # those that were
    deferred: set[int] = field(default_factory=set[int])  # those whose attempt somebody outside is to end
    timed: set[int] = field(default_factory=set[int])  # those whose attempts have a time limit
    workflow: str = ""
    version: str = ""
    pinned: bool = False
    request: str = ""  # of its start
    closing: dict[int, str] = field(default_factory=dict[int, str])  # what becomes of each child if this run closes
    left: dict[int, str] = field(default_factory=dict[int, str])  # the same, of those that were open when it did
    first_run_id: str = ""  # of its chain
    next_run_id: str = ""  # the run that it continued as
    carried: set[str] = field(default_factory=set[str])  # signals that it began with
    early_ms: int = 0

    unanswered: list[str] = field(default_factory=list[str])  # names of updates under way as it closed by itself
    _names: dict[str, str] = field(default_factory=dict[str, str])  # of updates
    _counted: _Events = field(default_factory=lambda: _Events())

    def add(self, event: Event) -> str:
        """Take the next event."""
        self.seq += 1
        if isinstance(event, RunReopened):
            return self._reopen(event)
        first = not self._counted or (isinstance(self._counted[0][1], RunReopened) and len(self._counted) == 1)
        self._counted.append((self.seq, event))
        if self.closed:
            return f"a {type(event).__name__} after the run had closed"
        if isinstance(event, RunStarted) != first:
            return f"{type(event).__name__} as event {self.seq}"
        match event:
            case RunStarted():
                self._start(event)
            case Close():
                self._close(event)
            case RunForked():
                self.forked, self.started_ms = (event.run_id, event.event), event.at
                self.deferred.clear()  # what is pending begins anew
                self.limits_ms.pop("run", None)  # counts from here, and is not in the event
            case SignalReceived():
                if event.request in self.signals:
                    return f"the signal {event.request!r} was recorded twice"
                self.signals.append(event.request)
            case UpdateAccepted():
                if event.update in self.updates:
                    return f"the update {event.update!r} was accepted twice"
                self.updates[event.update], self._names[event.update] = False, event.name
            case UpdateCompleted():
                if self.updates.get(event.update, True):
                    return f"the end of update {event.update!r}, which is not under way"
                self.updates[event.update] = True
            case CancelRequested():
                if self.cancelled:
                    return "a second cancellation was recorded"
                self.cancelled = True
            case ExternalSignalRequested() | ExternalCancelRequested():
                self.outgoing[event.id] = outgoing_key(self.run_id, event.id)
                self.asked.add(self.outgoing[event.id])
            case ExternalDelivered() | ExternalFailed():
                if event.id not in self.outgoing:
                    return _not_pending(event)
                del self.outgoing[event.id]
            case ChildStartRequested() | ChildStarted() | ChildStartFailed() | ChildCompleted() | ChildFailed():
                return self._add_child(event)
            case TimerStarted():
                self.timers[event.id] = event.due_ms
            case TimerFired() | TimerCancelled():
                due_ms = self.timers.pop(event.id, None)
                if due_ms is None:
                    return _not_pending(event)
                if isinstance(event, TimerFired) and event.at < due_ms - self.early_ms:
                    return f"the timer {event.id} fired {due_ms - event.at} ms early"
            case _:
                return self._add_activity(event)
        return ""

    def _start(self, event: RunStarted) -> None:
        self.workflow_id, self.parent = event.workflow_id, event.parent
        self.workflow, self.version, self.pinned = event.workflow, event.version, event.pinned
        self.request, self.started_ms = event.request, event.at
        if event.timeout_ms is not None:
            self.limits_ms["run"] = event.at + event.timeout_ms
        if event.deadline_ms is not None:
            self.limits_ms["execution"] = event.deadline_ms
        self.first_run_id = event.first_run_id or event.run_id
        self.signals += [signal.request for signal in event.signals]
        self.carried = set(self.signals)

    def _close(self, event: Close) -> None:
        if isinstance(event, RunContinuedAsNew):
            self.next_run_id = event.new_run_id
        self.closed, self.closed_ms = event.status, event.at
        self.timed_out = event.kind if isinstance(event, RunTimedOut) else ""
        self.ended_by = event.request if isinstance(event, RunTerminated) else ""
        if isinstance(event, RunCompleted | RunContinuedAsNew):
            self.unanswered = [self._names[update] for update, done in self.updates.items() if not done]
        self.activities.clear()
        self.timers.clear()
        self.outgoing.clear()
        self.left = {number: self.closing[number] for number in self.children}
        self.children.clear()

    def _reopen(self, event: RunReopened) -> str:
        """Be again as before the events that it voids."""
        if self.closed != "failed":
            return f"a run that is {self.closed or 'open'} was reopened"
        before = RunModel(self.run_id, self.partition, early_ms=self.early_ms)
        kept = _Events((seq, counted) for seq, counted in self._counted if seq < event.voids_from)
        for _, counted in kept:
            if isinstance(counted, RunReopened):
                before._go_on(counted)
            else:
                before.add(counted)
        before.seq = self.seq
        before.workflow_id, before.parent, before.first_run_id = self.workflow_id, self.parent, self.first_run_id
        before._counted = _Events([*kept, (self.seq, event)])
        before.reopened, before.order, before.forked = self.reopened + 1, self.order, self.forked
        before.limits_ms.clear()  # it has a whole one again
        before.asked |= self.asked
        before._go_on(event)
        for each in fields(self):
            setattr(self, each.name, getattr(before, each.name))
        return ""

    def _go_on(self, event: RunReopened) -> None:
        if event.activity is not None:  # what had failed for good is tried anew
            self.activities[event.activity] = event.attempt
            self.deferred.discard(event.activity)

    def _add_child(self, event: Event) -> str:
        match event:
            case ChildStartRequested():
                self.outgoing[event.id] = outgoing_key(self.run_id, event.id, reopened=self.reopened)
                self.children[event.id], self.closing[event.id] = "", event.parent_close
            case ChildStarted():
                if self.children.get(event.id) != "":
                    return _not_pending(event)
                self.outgoing.pop(event.id, None)
                self.children[event.id] = event.run_id
            case ChildStartFailed():
                if self.children.pop(event.id, None) != "":
                    return _not_pending(event)
                self.outgoing.pop(event.id, None)
            case ChildCompleted() | ChildFailed():
                if not self.children.pop(event.id, ""):
                    return _not_pending(event)
            case _:
                pass
        return ""

    def _add_activity(self, event: Event) -> str:
        match event:
            case ActivityScheduled():
                self.activities[event.id] = 1
                if event.cancellation == "wait":
                    self.patient.add(event.id)
                if event.timeout_ms is not None:
                    self.timed.add(event.id)
            case ActivityRetryScheduled():
                if event.id in self.stopping:
                    return f"a retry of activity {event.id}, which is cancelled"
                if self.activities.get(event.id) != event.attempt:
                    return f"a retry of attempt {event.attempt} of activity {event.id}, which is not pending"
                self.activities[event.id] = event.attempt + 1
                self.deferred.discard(event.id)
            case ActivityDeferred():
                if self.activities.get(event.id) != event.attempt or event.id in self.deferred:
                    return f"attempt {event.attempt} of activity {event.id} was left to others, and is not pending"
                self.deferred.add(event.id)
            case ActivityCompleted() | ActivityFailed():
                attempt = self.activities.pop(event.id, None)
                if attempt is None:
                    return f"an outcome of activity {event.id}, which is not pending"
                if attempt != event.attempt:
                    return (
                        f"the outcome of attempt {event.attempt} of activity {event.id}, which is at attempt {attempt}"
                    )
                self.ended.add(event.id)
            case ActivityCancelRequested():
                if event.id not in self.activities:
                    return f"a cancellation of activity {event.id}, which is not pending"
                if event.id in self.patient:
                    self.stopping.add(event.id)
                else:
                    del self.activities[event.id]
            case ActivityCancelled():
                if event.id not in self.stopping or self.activities.pop(event.id, None) != event.attempt:
                    return f"the end of activity {event.id} by a cancellation that nobody asked for, or a second end"
                self.ended.add(event.id)
            case LocalActivityCompleted() | LocalActivityFailed():
                if event.id in self.ended:
                    return f"the outcome of local activity {event.id} was recorded twice"
                self.ended.add(event.id)
            case _:
                pass
        return ""


def _not_pending(event: Event) -> str:
    return f"a {type(event).__name__} of command {getattr(event, 'id', '?')}, which is not pending"
