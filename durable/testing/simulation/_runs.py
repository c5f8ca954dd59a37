"""What the history of a run says is pending: told from its events alone, without the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...history import (
    ActivityCancelled,
    ActivityCancelRequested,
    ActivityCompleted,
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
    RunContinuedAsNew,
    RunStarted,
    SignalReceived,
    TimerCancelled,
    TimerFired,
    TimerStarted,
    UpdateAccepted,
    UpdateCompleted,
)


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
    outgoing: set[int] = field(default_factory=set[int])
    asked: set[int] = field(default_factory=set[int])  # messages to other runs, delivered ones too
    children: dict[int, str] = field(
        default_factory=dict[int, str]
    )  # the run of each pending one, empty before its start
    parent: Parent | None = None
    ended: set[int] = field(default_factory=set[int])  # activities, local ones too, whose outcome is recorded
    signals: list[str] = field(default_factory=list[str])  # request ids, in order
    updates: dict[str, bool] = field(default_factory=dict[str, bool])  # by id: whether it is completed
    cancelled: bool = False
    patient: set[int] = field(default_factory=set[int])  # activities whose end is waited for when they are cancelled
    stopping: set[int] = field(default_factory=set[int])  # those that were
    first_run_id: str = ""  # of its chain
    next_run_id: str = ""  # the run that it continued as
    carried: set[str] = field(default_factory=set[str])  # signals that it began with
    early_ms: int = 0

    def add(self, event: Event) -> str:
        """Take the next event."""
        self.seq += 1
        if self.closed:
            return f"a {type(event).__name__} after the run had closed"
        if isinstance(event, RunStarted) != (self.seq == 1):
            return f"{type(event).__name__} as event {self.seq}"
        match event:
            case RunStarted():
                self.workflow_id, self.parent = event.workflow_id, event.parent
                self.first_run_id = event.first_run_id or event.run_id
                self.signals += [signal.request for signal in event.signals]
                self.carried = set(self.signals)
            case Close():
                if isinstance(event, RunContinuedAsNew):
                    self.next_run_id = event.new_run_id
                self.closed = event.status
                self.activities.clear()
                self.timers.clear()
                self.outgoing.clear()
                self.children.clear()
            case SignalReceived():
                if event.request in self.signals:
                    return f"the signal {event.request!r} was recorded twice"
                self.signals.append(event.request)
            case UpdateAccepted():
                if event.update in self.updates:
                    return f"the update {event.update!r} was accepted twice"
                self.updates[event.update] = False
            case UpdateCompleted():
                if self.updates.get(event.update, True):
                    return f"the end of update {event.update!r}, which is not under way"
                self.updates[event.update] = True
            case CancelRequested():
                if self.cancelled:
                    return "a second cancellation was recorded"
                self.cancelled = True
            case ExternalSignalRequested() | ExternalCancelRequested():
                self.outgoing.add(event.id)
                self.asked.add(event.id)
            case ExternalDelivered() | ExternalFailed():
                if event.id not in self.outgoing:
                    return _not_pending(event)
                self.outgoing.discard(event.id)
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

    def _add_child(self, event: Event) -> str:
        match event:
            case ChildStartRequested():
                self.outgoing.add(event.id)
                self.children[event.id] = ""
            case ChildStarted():
                if self.children.get(event.id) != "":
                    return _not_pending(event)
                self.outgoing.discard(event.id)
                self.children[event.id] = event.run_id
            case ChildStartFailed():
                if self.children.pop(event.id, None) != "":
                    return _not_pending(event)
                self.outgoing.discard(event.id)
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
            case ActivityRetryScheduled():
                if event.id in self.stopping:
                    return f"a retry of activity {event.id}, which is cancelled"
                if self.activities.get(event.id) != event.attempt:
                    return f"a retry of attempt {event.attempt} of activity {event.id}, which is not pending"
                self.activities[event.id] = event.attempt + 1
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
