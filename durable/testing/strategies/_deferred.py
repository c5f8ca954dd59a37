"""Attempts whose code ends by `complete_later()`: what the holder of their token says, and when. Also which activities do that."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

from ..._log import ActivityBeat, ActivityEnded, ActivityTask
from ...author import complete_later
from ...codec import Codec
from ...history import to_raw
from ._discovery import named_in, names_in
from ._story import UNSET, Fate, failure_in_full

Report = ActivityEnded | ActivityBeat
"""What an attempt tells its run."""


def defers(function: Any) -> bool:
    """Return whether the code of `function` names `complete_later`, or a helper that does."""
    code = getattr(function, "__code__", None)
    named = code is not None and complete_later.__name__ in names_in(code)  # as an attribute of a module, perhaps
    return named or any(value is complete_later for value in named_in(function))


def is_end(report: Report) -> TypeGuard[ActivityEnded]:
    """Return whether an attempt has ended with `report`."""
    return isinstance(report, ActivityEnded) and report.how != "deferred"


def stopped(report: Report) -> ActivityEnded:
    """Return what the holder of the token says in place of `report` if it hears that the run has cancelled the activity."""
    return ActivityEnded(run_id=report.run_id, id=report.id, attempt=report.attempt, how="cancelled", by_token=True)


def reports_of(fate: Fate, task: ActivityTask, now_ms: int, codec: Codec) -> list[tuple[int, Report]]:
    """Return what is told of an attempt that begins now and is left to others, and when; in that order.

    Empty if its code would end only after its time limit: its worker ends it by then.
    """
    ids: dict[str, Any] = {"run_id": task.run_id, "id": task.id, "attempt": task.attempt}
    first = fate.later == "first" and not fate.stuck
    parts = fate.beats + (1 if first else 2)
    times = [now_ms + fate.takes_ms * (number + 1) // parts for number in range(parts)]
    deferral_ms = times.pop(-1 if first else 0)
    if task.timeout_ms is not None and deferral_ms - now_ms >= task.timeout_ms:
        return []
    deferral = ActivityEnded(how="deferred", started_ms=now_ms, details=task.details, **ids)
    beats = [(times[number], _beat(number, ids, codec)) for number in range(fate.beats)]
    if first:
        end = _end(fate, ids)
        return [*beats, (deferral_ms, end), (deferral_ms, deferral)]
    before: list[tuple[int, Report]] = [(deferral_ms, deferral), *beats]
    if not fate.stuck:
        end = _end(fate, ids)
        return [*before, (times[-1], end), *([(times[-1] + fate.takes_ms, end)] if fate.odd == "twice" else [])]
    if fate.odd == "late" and fate.value is not UNSET:
        over_ms = _over_ms(task, now_ms, before[-1][0])
        if over_ms is not None:
            return [*before, (over_ms + max(fate.takes_ms, 1), _end(fate, ids))]
    return before


def _beat(number: int, ids: dict[str, Any], codec: Codec) -> ActivityBeat:
    """The first says 1, the second only that it is alive, and so on."""
    if number % 2:
        return ActivityBeat(**ids)
    return ActivityBeat(details=to_raw(codec.encode(number + 1, Any, what="the heartbeat details")), **ids)


def _end(fate: Fate, ids: dict[str, Any]) -> ActivityEnded:
    if fate.later == "stops":
        return ActivityEnded(how="cancelled", by_token=True, **ids)
    if fate.failure is not None:
        return ActivityEnded(failure=failure_in_full(fate.failure), by_token=True, **ids)
    value: msgspec.Raw | msgspec.UnsetType = fate.value
    return ActivityEnded(result=value, by_token=True, **ids)


def _over_ms(task: ActivityTask, began_ms: int, heard_ms: int) -> int | None:
    """Return when the time of an attempt is over of which nothing is heard after `heard_ms`; None if that is not its own limit."""
    limits = [
        since_ms + limit_ms
        for since_ms, limit_ms in ((began_ms, task.timeout_ms), (heard_ms, task.heartbeat_timeout_ms))
        if limit_ms is not None
    ]
    return min(limits, default=None)
