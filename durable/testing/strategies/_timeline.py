"""An execution as people read it: what happened, in order, with the virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...history import Event, tag_of
from ._execution import Cancelled, Completed, Continued, Entry, Failed, Outcome, Terminated, TimedOut

_TEXT_MAX = 100


def timeline_of(
    workflow: str, log: Sequence[Entry], outcome: Outcome[Any] | None, *, start_ms: int | None = None
) -> str:
    """Return the timeline of an execution of `workflow`; `outcome` is None if it was broken off. Times are since `start_ms`."""
    if start_ms is None:
        start_ms = log[0].at_ms if log else 0
    names: dict[int, str] = {}
    rows: list[tuple[str, str]] = []
    shown_ms = -1
    for entry in log:
        what = entry.what if isinstance(entry.what, str) else _told(entry.what, names)
        at = span(entry.at_ms - start_ms) if entry.at_ms != shown_ms else ""
        shown_ms = entry.at_ms
        rows.append((at, what))
    width = max([8, *(len(at) for at, _ in rows)])
    lines = [f"  {at:>{width}}  {what}" for at, what in rows]
    if outcome is not None:
        lines.append(f"  {'':>{width}}  = {_ended(outcome)}")
    return "\n".join([f"Timeline of {workflow}:", *lines])


def span(ms: int) -> str:
    """Return a duration in the two largest units that it has, exactly."""
    if ms == 0:
        return "0 s"
    parts: list[str] = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= size:
            parts.append(f"{ms // size} {unit}")
            ms %= size
    if ms:
        parts.append(f"{ms / 1000:g} s")
    return " ".join(parts)


def _ended(outcome: Outcome[Any]) -> str:
    match outcome:
        case Completed(value):
            return f"completed: {_short(repr(value))}"
        case Failed(error):
            return f"failed: {_short(f'{type(error).__name__}: {error}')}"
        case Cancelled():
            return "cancelled"
        case TimedOut():
            return "out of time"
        case Terminated(reason):
            return f"terminated: {reason}"
        case Continued(workflow):
            return f"continued as a new run of {workflow}"
        case _:
            on = ", ".join(outcome.on)
            return (
                f"still running after as many events as were allowed, at {on}"
                if outcome.cut_off
                else f"waiting for {on}"
            )


def _told(event: Event, names: dict[int, str]) -> str:
    fields: Any = event
    number = getattr(event, "id", 0)
    name = f"{names.get(number, '')} #{number}".strip()
    if (activity := getattr(event, "activity", None)) is not None and isinstance(activity, str):
        names[number] = activity
        name = f"{activity} #{number}"
    if type(event).__name__ == "ChildStartRequested":
        names[number] = f"child {fields.workflow}"
        name = f"{names[number]} #{number}"
    told = _TOLD.get(type(event).__name__)
    return told(fields, name) if told is not None else tag_of(event)


def _call(raw: Any) -> str:
    return _short(bytes(raw).decode())


def _arguments(raw: Any) -> str:
    text = bytes(raw).decode()
    text = text.removeprefix("[[").removesuffix(",{}]").removesuffix("]")
    return f"({_short(text)})"


def _failure(failure: dict[str, Any]) -> str:
    name = str(failure.get("type", "")).removeprefix("builtins.")
    message = str(failure.get("message", ""))
    return _short(f"{name}: {message}" if message else name)


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."


def _attempt(event: Any) -> str:
    return f", attempt {event.attempt}" if event.attempt > 1 else ""


_TOLD: dict[str, Callable[[Any, str], str]] = {
    "RunStarted": lambda e, _: f"started with {_arguments(e.args)}",
    "ActivityScheduled": lambda e, name: f"  asks for {name} {_arguments(e.args)}",
    "LocalActivityScheduled": lambda e, name: f"  runs {name} {_arguments(e.args)} in its own process",
    "ActivityCompleted": lambda e, name: f"{name} returned {_call(e.result)}{_attempt(e)}",
    "LocalActivityCompleted": lambda e, name: f"{name} returned {_call(e.result)}{_attempt(e)}",
    "ActivityRetryScheduled": lambda e, name: (
        f"{name} failed, attempt {e.attempt}: {_failure(e.failure)}; tried again in {span(e.due_ms - e.at)}"
    ),
    "ActivityFailed": lambda e, name: (
        f"{name} failed for good{_attempt(e)}{f', out of time ({e.timeout})' if e.timeout else ''}: {_failure(e.failure)}"
    ),
    "LocalActivityFailed": lambda e, name: f"{name} failed for good{_attempt(e)}: {_failure(e.failure)}",
    "ActivityDeferred": lambda e, name: f"{name} was left to others{_attempt(e)}",
    "ActivityHeartbeatRecorded": lambda e, name: f"{name} is alive{_attempt(e)}: {_call(e.details)}",
    "ActivityCancelled": lambda e, name: f"{name} has stopped{_attempt(e)}",
    "ActivityCancelRequested": lambda _, name: f"  gives up {name}",
    "ChildStartRequested": lambda e, name: f"  starts {name} {_arguments(e.args)} as {e.workflow_id}",
    "ChildStarted": lambda _, name: f"{name} has started",
    "ChildStartFailed": lambda e, name: f"{name} could not be started: {_failure(e.failure)}",
    "ChildCompleted": lambda e, name: f"{name} returned {_call(e.result)}",
    "ChildFailed": lambda e, name: f"{name} {e.status.replace('_', ' ')}: {_failure(e.failure)}",
    "ChildCancelRequested": lambda _, name: f"  asks {name} to cancel",
    "TimerStarted": lambda e, name: f"  sets timer {name} to {span(e.due_ms - e.at)}",
    "TimerFired": lambda _, name: f"timer {name} fired",
    "TimerCancelled": lambda _, name: f"  stops timer {name}",
    "SignalReceived": lambda e, _: f"signal {e.name}: {_call(e.value)}",
    "UpdateAccepted": lambda e, _: f"update {e.name} ({e.update}): {_call(e.value)}",
    "UpdateCompleted": lambda e, _: (
        f"  ends update {e.update} by {_failure(e.failure)}"
        if e.failure
        else f"  ends update {e.update} with {_call(e.result)}"
    ),
    "CancelRequested": lambda _e, _n: "asked to cancel",
    "SideEffectRecorded": lambda e, name: f"  side effect {name}: {_call(e.value)}",
    "PatchMarked": lambda e, _: (
        f"  passes deprecated patch {e.name}" if e.deprecated else f"  takes the new way at patch {e.name}"
    ),
    "AttributesUpserted": lambda e, _: f"  sets attributes {', '.join(sorted(e.values))}",
    "ExternalSignalRequested": lambda e, name: f"  sends signal {e.name} to {e.workflow_id} ({name})",
    "ExternalCancelRequested": lambda e, name: f"  asks {e.workflow_id} to cancel ({name})",
    "ExternalDelivered": lambda _, name: f"message {name} was delivered",
    "ExternalFailed": lambda e, name: f"message {name} was not delivered: {_failure(e.failure)}",
    "RunCompleted": lambda e, _: f"ended with {_call(e.result)}",
    "RunFailed": lambda e, _: f"failed: {_failure(e.failure)}",
    "RunCancelled": lambda _e, _n: "ended by its cancellation",
    "RunTerminated": lambda e, _: f"terminated: {e.reason}",
    "RunContinuedAsNew": lambda e, _: f"continued as a new run of {e.workflow} with {_call(e.args)}",
    "RunTimedOut": lambda e, _: f"reached its time limit of {span(e.timeout_ms)}",
}
