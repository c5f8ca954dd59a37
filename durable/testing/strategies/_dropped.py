"""Messages that change nothing, and why: what came twice, or too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._log import ActivityBeat, ActivityEnded, ChildEnded, RequestCancel, SendSignal
from ...history import (
    ActivityCancelled,
    ActivityCompleted,
    ActivityDeferred,
    ActivityFailed,
    ActivityRetryScheduled,
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Event,
    SignalReceived,
)
from ._execution import Call

_WHAT = {"deferred": "word that it was left to others", "cancelled": "word of its stop"}


def why_dropped(message: object, events: Sequence[Event], calls: Mapping[int, Call]) -> str:
    """Return why `message` left no trace in the `events` of the step that took it; empty if it did leave one."""
    match message:
        case ActivityEnded():
            ends = (ActivityCompleted, ActivityFailed, ActivityRetryScheduled, ActivityCancelled, ActivityDeferred)
            if any(isinstance(e, ends) and (e.id, e.attempt) == (message.id, message.attempt) for e in events):
                return ""
            call = calls[message.id]
            what = message.how or ("result" if message.failure is None else "failure")
            attempt = f", attempt {message.attempt}" if message.attempt > 1 else ""
            why = "it came before" if call.status in ("completed", "failed") else "the run does not want it any more"
            return f"a {_WHAT.get(what, what)} of {call.activity} #{message.id}{attempt} is dropped: {why}"
        case ActivityBeat():
            call = calls[message.id]
            return f"a heartbeat of {call.activity} #{message.id} is dropped" if call.status != "pending" else ""
        case ChildEnded():
            if any(isinstance(e, ChildCompleted | ChildFailed) and e.id == message.id for e in events):
                return ""
            call = calls[message.id]
            why = "it came before" if call.status != "pending" else "the run does not want it any more"
            return f"the end of {call.activity} #{message.id} is dropped: {why}"
        case SendSignal():
            if any(isinstance(e, SignalReceived) and e.request == message.request for e in events):
                return ""
            return f"signal {message.name} is dropped: the same request came before"
        case RequestCancel():
            if any(isinstance(e, CancelRequested) and e.request == message.request for e in events):
                return ""
            return "a cancellation is dropped: there was one before"
        case _:
            return ""
