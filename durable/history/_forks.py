"""Which events of a history count, and after which of them another run can begin."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DamagedRecordError, InvalidCallError
from ._children import ChildCompleted, ChildFailed, ChildStartFailed, ChildStartRequested
from ._event import CommandEvent, Event
from ._external import ExternalCancelRequested, ExternalDelivered, ExternalFailed, ExternalSignalRequested
from ._runs import Close, RunFailed, RunReopened, RunStarted, RunTerminated, RunTimedOut
from ._wire import RecordedEvent, tag_of

# What a run does with others: what is under way of it belongs to that run, and no other can take it over.
_ASKED = (ExternalSignalRequested, ExternalCancelRequested, ChildStartRequested)
_ENDED = (ExternalDelivered, ExternalFailed, ChildStartFailed, ChildCompleted, ChildFailed)


def effective(history: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """Return the events of `history` that count: without those that a reopening voided.

    Raises `DamagedRecordError` if it does not begin with `RunStarted`.
    """
    result: list[RecordedEvent] = []
    for recorded in history:
        event = recorded.event
        if isinstance(event, RunReopened):
            while result and result[-1].seq >= event.voids_from:
                result.pop()
        result.append(recorded)
    first = next((r.event for r in result if r.event.role != "note"), None)
    if result and not isinstance(first, RunStarted):
        raise DamagedRecordError(f"the history does not begin with RunStarted but with {type(first).__name__}")
    return result


def fork_point(history: Sequence[RecordedEvent], at: int | None = None) -> int:
    """Return the number of the event up to which a fork of `history` takes it: `at`, or that of the latest point that goes on.

    A fork takes whole steps: an event from outside and all that the code asked for at it. A close is not taken. By default
    that is the end of the last step, or, where the code has ended itself, of the last one before it did.

    Raises `InvalidCallError` for an `at` in the middle of a step or out of range, or at which a child or a message to another
    run is under way. It names the event and the nearest numbers that would do.
    """
    if not history:
        raise InvalidCallError("the run has no events yet: nobody has begun it, so there is nothing to fork")
    if at is None:
        return _checked(history, _latest(history))
    if isinstance(at, bool) or not isinstance(at, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidCallError(f"at: expected the number of an event, got {at!r}")
    if not 1 <= at <= len(history):
        raise InvalidCallError(f"at: expected the number of an event, from 1 to {len(history)}, got {at}")
    if isinstance(history[at - 1].event, Close):
        at -= 1
    return _checked(history, at)


def forked(history: Sequence[RecordedEvent], at: int) -> list[Event]:
    """Return the events that a fork at the point `at` takes over, renumbered: the voided ones are left out."""
    taken: list[Event] = []
    for recorded in effective(history[:at]):
        event = recorded.event
        if isinstance(event, RunReopened):  # what it voids is not there any more
            event = RunReopened(
                at=event.at, request=event.request, voids_from=len(taken) + 1,
                activity=event.activity, attempt=event.attempt, number=event.number,
            )  # fmt: skip
        if not isinstance(event, Close):
            taken.append(event)
    return taken


def _latest(history: Sequence[RecordedEvent]) -> int:
    last = history[-1].event
    if not isinstance(last, Close):
        return len(history)
    if isinstance(last, RunTerminated | RunTimedOut):  # the code was not asked
        return len(history) - 1
    ended = last.failed_at if isinstance(last, RunFailed) else 0
    if not ended:
        ended = max(recorded.seq for recorded in history if recorded.event.role == "inbound")
    if ended == 1:
        raise InvalidCallError(
            f"the code ended in its first step, at event 1: there is no step before {tag_of(last)} to go on from; "
            "start a new run instead, or fork at event 1 to take that step with other code"
        )
    return ended - 1


def _checked(history: Sequence[RecordedEvent], at: int) -> int:
    points = _points(history)
    if at in points:
        return at
    near = [max((n for n in points if n < at), default=None), min((n for n in points if n > at), default=None)]
    told = " or ".join(str(n) for n in near if n is not None)
    hint = f"fork at {told}" if told else "there is no event to fork at"
    raise InvalidCallError(
        f"a run cannot be forked at event {at} ({tag_of(history[at - 1].event)}): {_problem(history, at)}; {hint}"
    )


def _points(history: Sequence[RecordedEvent]) -> set[int]:
    """Return the numbers of all events up to which a fork can take `history`."""
    points: set[int] = set()
    under_way: dict[int, CommandEvent] = {}
    for recorded, following in zip(history, [*history[1:], None], strict=True):
        event = recorded.event
        if isinstance(event, RunReopened):
            under_way = _under_way(history[: recorded.seq])
        else:
            _note(under_way, event)
        in_step = following is not None and isinstance(following.event, CommandEvent)
        if not (in_step or under_way or isinstance(event, Close)):
            points.add(recorded.seq)
    return points


def _problem(history: Sequence[RecordedEvent], at: int) -> str:
    if at < len(history) and isinstance(history[at].event, CommandEvent):
        return f"the step goes on with event {at + 1} ({tag_of(history[at].event)})"
    if under_way := _under_way(history[:at]):
        told = ", ".join(event.summary() for event in under_way.values())
        return f"{told} is under way, which a fork cannot take over"
    return "it ends the run"


def _under_way(history: Sequence[RecordedEvent]) -> dict[int, CommandEvent]:
    found: dict[int, CommandEvent] = {}
    for recorded in effective(history):
        _note(found, recorded.event)
    return found


def _note(under_way: dict[int, CommandEvent], event: Event) -> None:
    if isinstance(event, _ASKED):
        under_way[event.id] = event
    elif isinstance(event, _ENDED):
        under_way.pop(event.id, None)
