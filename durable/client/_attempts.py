"""What the history of a run says of one attempt of an activity: whether it is still wanted, or how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .. import _limits
from .._log import AttemptToken
from ..history import (
    ActivityCancelled,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetryScheduled,
    ActivityScheduled,
    Event,
    RecordedEvent,
    RunReopened,
)
from ..stores import Document
from ._line import Line

_KINDS = (
    ActivityScheduled,
    ActivityRetryScheduled,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityCancelled,
)


@dataclass(frozen=True, slots=True)
class AttemptState:
    """One attempt. `over` says why it takes no more reports, and is empty while it does; `end` is what it ended with, if it did."""

    scheduled: ActivityScheduled | None
    cancelled: bool
    over: str
    end: Event | None


async def attempt_state(line: Line, token: AttemptToken) -> AttemptState:
    """Return what is known of an attempt. Raises `RunNotFoundError` if this store has no such run."""
    document = await line.document(token.run_id)
    scheduled: ActivityScheduled | None = None
    current, cancelled = 1, False
    end: Event | None = None
    own_end: Event | None = None
    for event in await _events(line, token):
        if isinstance(event, ActivityScheduled):
            scheduled = event
        elif isinstance(event, ActivityRetryScheduled):
            current = event.attempt + 1
            own_end = event if event.attempt == token.attempt else own_end
        elif isinstance(event, RunReopened):
            current = event.attempt if event.activity == token.id else current
        elif isinstance(event, ActivityCancelRequested):
            cancelled = True
        else:
            end = event
            own_end = event if getattr(event, "attempt", 0) == token.attempt else own_end
    over = _why_over(token, document, scheduled, current, cancelled, end)
    return AttemptState(scheduled, cancelled, over, own_end)


def _why_over(
    token: AttemptToken,
    document: Document,
    scheduled: ActivityScheduled | None,
    current: int,
    cancelled: bool,
    end: Event | None,
) -> str:
    if scheduled is None or token.attempt > current:
        return "its run knows of no such attempt"
    if isinstance(end, ActivityCompleted):
        return f"the activity has completed, at attempt {end.attempt}"
    if isinstance(end, ActivityFailed):
        return f"the activity ran out of time ({end.timeout})" if end.timeout else "the activity has failed"
    if isinstance(end, ActivityCancelled):
        return "the activity was cancelled, and has ended"
    if cancelled and scheduled.cancellation != "wait":
        return "the workflow has given the activity up"
    if not document.open:
        return f"its run is {document.state.replace('_', ' ')}"
    return f"it failed or ran out of time, and attempt {current} has followed" if token.attempt < current else ""


async def _events(line: Line, token: AttemptToken) -> list[Event]:
    """Return the events of the activity that count, and the reopenings of its run."""
    needles = (f'"id":{token.id},'.encode(), f'"id":{token.id}}}'.encode())
    found: list[tuple[int, Event]] = []
    seq = 0
    while True:
        page = await line.insist(_reading(line, token.run_id, seq))
        for record in page:
            seq += 1
            if b'"RunReopened' not in record and not any(needle in record for needle in needles):
                continue
            event = RecordedEvent.read(seq, record).event
            if isinstance(event, RunReopened):
                found = [item for item in found if item[0] < event.voids_from]
                found.append((seq, event))
            elif isinstance(event, _KINDS) and event.id == token.id:
                found.append((seq, event))
        if len(page) < _limits.HISTORY_PAGE_EVENTS:
            return [event for _, event in found]


def _reading(line: Line, run_id: str, after: int) -> Callable[[], Awaitable[list[bytes]]]:
    return lambda: line.store.read(line.partition, run_id, after=after, limit=_limits.HISTORY_PAGE_EVENTS)
