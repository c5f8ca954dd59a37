"""A history as people read it: one line an event, what is pending, and why a run waits. Pure: events as data in, text out.

Events come as JSON data, so that one of a type that this code does not know is shown all the same, with its fields.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ._output import as_json, short, span, when_ms

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One event: its number, its time (ms since the epoch), what happened and the rest; `mood` is for its color."""

    seq: int
    at_ms: int
    what: str
    detail: str = ""
    mood: str = ""  # "good", "bad", "quiet" or nothing
    voided: bool = False


@dataclass(slots=True)
class Pending:
    """An activity that has not ended, a child (`child` is its workflow id), or, with neither, a timer that has not fired."""

    id: int
    activity: str = ""
    queue: str = ""
    attempt: int = 1
    since_ms: int = 0
    due_ms: int | None = None  # of the next attempt, or of the timer
    last_failure: str = ""
    local: bool = False
    child: str = ""
    waits_for_end: bool = False  # a cancellation is waited for
    state: str = ""  # what else is known of it


@dataclass(slots=True)
class Timeline:
    """What a history tells."""

    lines: list[Line] = field(default_factory=list[Line])
    pending: list[Pending] = field(default_factory=list[Pending])
    updates: list[str] = field(default_factory=list[str])  # the names of those whose handler has not ended
    closed: bool = False


def timeline_of(events: Iterable[tuple[int, Data]]) -> Timeline:
    """Return the timeline of numbered events."""
    numbered = list(events)
    voided = _voided(numbered)
    names = {
        event["id"]: event.get("activity", "") for _, event in numbered if _kind(event).endswith("ActivityScheduled")
    }
    names |= {
        event["id"]: f"child {event.get('workflow_id')}"
        for _, event in numbered
        if _kind(event) == "ChildStartRequested"
    }
    updates = {event.get("update"): event.get("name", "") for _, event in numbered if _kind(event) == "UpdateAccepted"}
    names |= {
        event["id"]: updates.get(event.get("update"), "") for _, event in numbered if _kind(event) == "UpdateCompleted"
    }
    timeline = Timeline()
    for seq, event in numbered:
        timeline.lines.append(_line(seq, event, names, voided=seq in voided))
    timeline.pending = _pending(numbered, voided)
    timeline.updates = _updates_under_way(numbered, voided)
    timeline.closed = any(_kind(event) in _CLOSES for seq, event in numbered if seq not in voided)
    return timeline


def why_waiting(
    timeline: Timeline,
    status: str,
    stuck: str | None,
    parked: Sequence[str] = (),
    absent: Sequence[str] = (),
    *,
    now_ms: int,
) -> str:
    """Return in a sentence why the run does not go on by itself, or how it ended.

    `parked`: activities that are parked; `absent`: which workers are not there, each as a sentence.
    """
    if stuck:
        return f"stuck: {stuck}"
    if status != "running":
        return status.replace("_", " ")
    if not timeline.lines:
        return "; ".join(["waiting for a worker that serves its queue: nobody has begun it", *absent])
    if parked:
        return f"waiting for you: {', '.join(parked)} is parked, since it killed its worker each time; see `durable parked`"
    reasons = [_reason(pending, now_ms) for pending in timeline.pending]
    reasons += [f"the handler of update {name}" for name in timeline.updates]
    return "; ".join(["waiting for " + " and ".join(reasons or ["a signal, or for its worker to go on"]), *absent])


def failure_text(failure: Any) -> str:
    """Return a recorded failure on one line, with its causes."""
    parts: list[str] = []
    while isinstance(failure, dict):
        failure = cast("dict[str, Any]", failure)
        name = str(failure.get("type", "failure")).removeprefix("builtins.").removeprefix("durable.errors.")
        message = short(str(failure.get("message", "")), 200)
        text = f"{name}: {message}" if message else name
        if not (parts and parts[-1].endswith(text)):  # an `ActivityError` quotes its cause
            parts.append(text)
        failure = failure.get("cause")
    return ", caused by ".join(parts)


def value_text(value: Any) -> str:
    """Return a recorded payload as short text; one that is not JSON is named by its encoding."""
    match value:
        case {"$codec": encoding}:
            return f"<{encoding}>"
    return short(as_json(value, indent=False))


def call_text(args: Any) -> str:
    """Return recorded arguments, `[[positional...], {keyword...}]`, as a call is written."""
    match args:
        case [[*positional], {**keyword}, *_]:
            parts = [as_json(value, indent=False) for value in positional]
            parts += [f"{name}={as_json(value, indent=False)}" for name, value in keyword.items()]
            return f"({short(', '.join(parts))})"
    return value_text(args)


def attributes_text(values: Mapping[str, Any]) -> str:
    """Return recorded attributes as short text; one without a value was removed."""
    told = [f"{name} removed" if value is None else f"{name}={value_text(value)}" for name, value in values.items()]
    return short(", ".join(told))


def _kind(event: Data) -> str:
    """Return the type of an event without its version."""
    return str(event.get("type", "?")).partition(".")[0]


def _voided(numbered: Sequence[tuple[int, Data]]) -> set[int]:
    """Return the numbers of the events that a later `RunReopened` made void."""
    return {
        n for seq, event in numbered if _kind(event) == "RunReopened" for n in range(event.get("voids_from", seq), seq)
    }


def _pending(numbered: Sequence[tuple[int, Data]], voided: set[int]) -> list[Pending]:
    open_: dict[int, Pending] = {}
    for seq, event in numbered:
        if seq in voided:
            continue
        kind = _kind(event)
        if kind in ("ActivityScheduled", "LocalActivityScheduled"):
            queue = event.get("queue", "the engine")
            one = Pending(event["id"], event["activity"], queue, since_ms=event["at"], local=kind[0] == "L")
            one.waits_for_end = event.get("cancellation") == "wait"
            open_[event["id"]] = one
        elif kind == "ChildStartRequested":
            open_[event["id"]] = Pending(event["id"], child=event["workflow_id"], since_ms=event["at"])
        elif kind == "TimerStarted":
            open_[event["id"]] = Pending(event["id"], since_ms=event["at"], due_ms=event.get("due_ms"))
        elif kind in ("ActivityRetryScheduled", "LocalActivityRetryScheduled") and event["id"] in open_:
            one = open_[event["id"]]
            one.attempt, one.due_ms = event["attempt"] + 1, event.get("due_ms")
            one.last_failure, one.state = failure_text(event.get("failure")), ""
        elif kind == "ActivityDeferred" and event["id"] in open_:
            open_[event["id"]].state = "to be completed from outside"
        elif kind == "ActivityCancelRequested" and event["id"] in open_ and open_[event["id"]].waits_for_end:
            open_[event["id"]].state = "told to stop"
        elif kind == "RunReopened" and event.get("activity") in open_:
            open_[event["activity"]].attempt = event.get("attempt", 1)
        elif kind in _ENDS:
            open_.pop(event.get("id", 0), None)
        elif kind in _CLOSES:
            open_.clear()
    return list(open_.values())


def _updates_under_way(numbered: Sequence[tuple[int, Data]], voided: set[int]) -> list[str]:
    counted = [event for seq, event in numbered if seq not in voided]
    ended = {event.get("update") for event in counted if _kind(event) == "UpdateCompleted"}
    accepted = (event for event in counted if _kind(event) == "UpdateAccepted")
    return [str(event.get("name")) for event in accepted if event.get("update") not in ended]


def _reason(pending: Pending, now_ms: int) -> str:
    if pending.child:
        return f"child {pending.child} (#{pending.id}): see `durable show {pending.child}`"
    if not pending.activity:
        left = (pending.due_ms or now_ms) - now_ms
        return f"timer #{pending.id} ({f'due in {span(left)}' if left > 0 else 'due now'}), or a signal"
    text = f"activity {pending.activity} #{pending.id} on queue {pending.queue}, attempt {pending.attempt}"
    if pending.due_ms is not None and pending.due_ms > now_ms:
        text += f" in {span(pending.due_ms - now_ms)}"
    text += f", {pending.state}" if pending.state else ""
    return text + (f" (the last one failed: {pending.last_failure})" if pending.last_failure else "")


def _line(seq: int, event: Data, names: Mapping[int, str], *, voided: bool) -> Line:
    kind = _kind(event)
    describe = _DESCRIBE.get(kind)
    if describe is None:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        rest = {name: value for name, value in event.items() if name not in ("type", "at")}
        what, detail, mood = words, value_text(rest) if rest else "", ""
    else:
        what, detail, mood = describe(event, names.get(event.get("id", 0), ""))
    return Line(seq, event.get("at", 0), what, detail, mood, voided)


_Described = tuple[str, str, str]


def _started(event: Data, _name: str) -> _Described:
    parent: dict[str, Any] | None = event.get("parent")
    whose = f", child of {parent.get('workflow_id')}" if parent else ""
    limit = f", at most {span(event['timeout_ms'])}" if event.get("timeout_ms") else ""
    version = f" (version {event['version']}{', pinned' * bool(event.get('pinned'))})" if event.get("version") else ""
    forked = ", as that of another run" if event.get("forked_from") else ""
    if event.get("execution_timeout_ms"):
        limit += f", its chain at most {span(event['execution_timeout_ms'])}"
    if event.get("continued_from"):
        limit += f", continues run {event['continued_from']}"
    signals: Sequence[dict[str, Any]] = event.get("signals", ())
    if names := [str(signal["name"]) for signal in signals]:
        limit += f", with signal{'s' if len(names) > 1 else ''} {short(', '.join(names))}"
    return (
        f"run of {event.get('workflow')}{version} started{forked}",
        f"{call_text(event.get('args'))} on queue {event.get('queue')}{limit}{whose}",
        "",
    )


def _continued(event: Data, _name: str) -> _Described:
    count = len(event.get("signals", ()))
    carried = f", with {count} unread signal{'s' if count > 1 else ''}" if count else ""
    carried += ", with a cancellation" if event.get("cancel") else ""
    detail = f"run {event.get('new_run_id')} of {event.get('workflow')}{call_text(event.get('args'))}{carried}"
    return "run continued as new", detail, "good"


def _timed_out(event: Data, _name: str) -> _Described:
    whose = " (the limit of its whole chain)" if event.get("kind") == "execution" else ""
    return "run timed out", f"after {span(event.get('timeout_ms', 0))}{whose}", "bad"


def _activity_scheduled(event: Data, name: str) -> _Described:
    queue = f" on queue {event['queue']}" if "queue" in event else ", local"
    return f"{name} #{event['id']} scheduled", f"{call_text(event.get('args'))}{queue}", "quiet"


def _activity_retried(event: Data, name: str) -> _Described:
    detail = f"{failure_text(event.get('failure'))}; next attempt at {when_ms(event.get('due_ms', 0))}"
    return f"{name} #{event['id']} failed, attempt {event['attempt']}", detail, "bad"


def _activity_completed(event: Data, name: str) -> _Described:
    attempt = f", attempt {event['attempt']}" if event.get("attempt", 1) > 1 else ""
    return f"{name} #{event['id']} completed{attempt}", value_text(event.get("result")), "good"


def _activity_failed(event: Data, name: str) -> _Described:
    timeout = f", out of time ({event['timeout']})" if event.get("timeout") else ""
    detail = failure_text(event.get("failure"))
    return f"{name} #{event['id']} failed for good, attempt {event.get('attempt', 1)}{timeout}", detail, "bad"


def _child_asked(event: Data, name: str) -> _Described:
    detail = f"{event.get('workflow')}{call_text(event.get('args'))} on queue {event.get('queue')}"
    return f"{name} #{event['id']} asked for", detail, "quiet"


def _child_failed(event: Data, name: str) -> _Described:
    how = str(event.get("status", "failed")).replace("_", " ")
    return f"{name} #{event['id']} {how}", failure_text(event.get("failure")), "bad"


def _update_completed(event: Data, name: str) -> _Described:
    which = f"update {name} ({event.get('update')})"
    if event.get("failure") is not None:
        return f"{which} failed", failure_text(event["failure"]), "bad"
    return f"{which} completed", value_text(event.get("result")), "good"


_DESCRIBE: dict[str, Callable[[Data, str], _Described]] = {
    "RunStarted": _started,
    "ActivityScheduled": _activity_scheduled,
    "LocalActivityScheduled": _activity_scheduled,
    "ActivityRetryScheduled": _activity_retried,
    "ActivityCompleted": _activity_completed,
    "LocalActivityCompleted": _activity_completed,
    "ActivityFailed": _activity_failed,
    "LocalActivityFailed": _activity_failed,
    "ActivityCancelRequested": lambda event, name: (f"{name} #{event['id']} cancelled", "", "quiet"),
    "ChildStartRequested": _child_asked,
    "ChildStarted": lambda event, name: (f"{name} #{event['id']} started", f"run {event.get('run_id')}", ""),
    "ChildStartFailed": lambda event, name: (
        f"{name} #{event['id']} could not be started",
        failure_text(event.get("failure")),
        "bad",
    ),
    "ChildCompleted": lambda event, name: (f"{name} #{event['id']} completed", value_text(event.get("result")), "good"),
    "ChildFailed": _child_failed,
    "ChildCancelRequested": lambda event, name: (
        f"cancellation of {name} #{event['id']} asked for",
        event.get("reason", ""),
        "quiet",
    ),
    "LocalActivityCancelRequested": lambda event, name: (f"{name} #{event['id']} cancelled", "", "quiet"),
    "LocalActivityRetryScheduled": _activity_retried,
    "ActivityCancelled": lambda event, name: (f"{name} #{event['id']} stopped", "it had been cancelled", "quiet"),
    "ActivityDeferred": lambda event, name: (
        f"{name} #{event['id']} is to be completed from outside",
        f"attempt {event.get('attempt', 1)}",
        "quiet",
    ),
    "ActivityHeartbeatRecorded": lambda event, name: (
        f"{name} #{event['id']} is alive",
        value_text(event.get("details")),
        "quiet",
    ),
    "ExternalSignalRequested": lambda event, _: (
        f"signal {event.get('name')} sent to {event.get('workflow_id')} (#{event['id']})",
        value_text(event.get("value")),
        "quiet",
    ),
    "ExternalCancelRequested": lambda event, _: (
        f"cancellation of {event.get('workflow_id')} asked for (#{event['id']})",
        event.get("reason", ""),
        "quiet",
    ),
    "ExternalDelivered": lambda event, _: (f"message #{event['id']} delivered", "", "good"),
    "ExternalFailed": lambda event, _: (
        f"message #{event['id']} not delivered",
        failure_text(event.get("failure")),
        "bad",
    ),
    "TimerStarted": lambda event, _: (
        f"timer #{event['id']} started",
        f"due at {when_ms(event.get('due_ms', 0))}",
        "quiet",
    ),
    "TimerFired": lambda event, _: (f"timer #{event['id']} fired", "", ""),
    "TimerCancelled": lambda event, _: (f"timer #{event['id']} cancelled", "", "quiet"),
    "SignalReceived": lambda event, _: (f"signal {event.get('name')} received", value_text(event.get("value")), ""),
    "UpdateAccepted": lambda event, _: (
        f"update {event.get('name')} ({event.get('update')}) accepted",
        value_text(event.get("value")),
        "",
    ),
    "UpdateCompleted": _update_completed,
    "SideEffectRecorded": lambda event, _: (
        f"side effect #{event['id']} recorded",
        value_text(event.get("value")),
        "quiet",
    ),
    "PatchMarked": lambda event, _: (
        f"patch {event.get('name')} marked{' as deprecated' * bool(event.get('deprecated'))}",
        "",
        "quiet",
    ),
    "AttributesUpserted": lambda event, _: ("attributes set", attributes_text(event.get("values", {})), "quiet"),
    "CancelRequested": lambda event, _: ("cancellation requested", event.get("reason", ""), "bad"),
    "RunReopened": lambda event, _: (
        "run reopened",
        f"events from {event.get('voids_from')} on do not count any more",
        "",
    ),
    "RunForked": lambda event, _: (
        "forked here",
        f"from {event.get('workflow_id')}, after its event {event.get('event')}",
        "",
    ),
    "RunCompleted": lambda event, _: ("run completed", value_text(event.get("result")), "good"),
    "RunFailed": lambda event, _: ("run failed", failure_text(event.get("failure")), "bad"),
    "RunCancelled": lambda event, _: ("run cancelled", event.get("reason", ""), "bad"),
    "RunTerminated": lambda event, _: ("run terminated", event.get("reason", ""), "bad"),
    "RunTimedOut": _timed_out,
    "RunContinuedAsNew": _continued,
}
_ENDS = {
    "ActivityCompleted", "ActivityFailed", "ActivityCancelled", "ActivityCancelRequested",
    "LocalActivityCompleted", "LocalActivityFailed", "LocalActivityCancelRequested",
    "TimerFired", "TimerCancelled", "ChildStartFailed", "ChildCompleted", "ChildFailed",
}  # fmt: skip
_CLOSES = {"RunCompleted", "RunFailed", "RunCancelled", "RunTerminated", "RunTimedOut", "RunContinuedAsNew"}
