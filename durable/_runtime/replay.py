"""Replay: a run is rebuilt from the events of its history, step by step, and must ask for what it asked for then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..codec import Codec
from ..history import Event, RunCancelled, RunCompleted, RunContinuedAsNew, RunFailed, RunStarted
from .matcher import describe
from .options import WorkflowSpec
from .run import Run


def plainly(step: Callable[[], None]) -> None:
    """Run a step of a replay, unwatched."""
    step()


def replayed(
    spec: WorkflowSpec,
    codec: Codec,
    events: Sequence[Event],
    watched: Callable[[Callable[[], None]], None] = plainly,
    *,
    may_have_ended: bool = False,
) -> Run:
    """Return the run that `events`, its effective history, lead to. Raises as `Run.replay` does.

    `watched` runs each step of it: a place to notice one that never ends.

    A close event is matched with the code's outcome by kind; a history that goes on after the code has ended is one whose
    code has changed, unless what follows are messages that were acknowledged before the close. `may_have_ended`: the code may
    have ended although there is no close, as that of a fork.
    """
    # A run that failed in its first step and was reopened has notes before its start.
    run = Run(spec, codec, next(event for event in events if isinstance(event, RunStarted)))
    try:
        follow(run, events, watched, may_have_ended=may_have_ended)
    except BaseException:
        run.dispose()  # else the garbage collector ends its tasks, as code outside of a run, whose activities are plain functions
        raise
    return run


def follow(
    run: Run,
    events: Sequence[Event],
    watched: Callable[[Callable[[], None]], None] = plainly,
    *,
    may_have_ended: bool = False,
) -> None:
    """Replay `events` into `run`, a new one. See `replayed`."""
    index, count = 0, len(events)
    while index < count:
        event = events[index]
        index += 1
        if event.role == "inbound":
            first = index
            while index < count and events[index].role == "command":
                index += 1
            recorded = events[first:index]
            watched(partial(run.replay, event, recorded))
        elif event.role == "note":
            run.note(event)
        else:
            _match_close(run, event)
    if run.finished and events[-1].role != "close" and not may_have_ended:
        raise run.matcher.mismatch("the end of the workflow", where=run.where())


def _match_close(run: Run, event: Event) -> None:
    run.events_seen += 1
    asked = (RunCompleted, RunFailed, RunCancelled, RunContinuedAsNew)
    if not isinstance(event, asked):
        return  # from outside: the code was not asked
    if not run.finished:
        raise run.matcher.mismatch("more work", recorded=event, where=run.where())
    outcome = run.outcome()
    if type(outcome) is not type(event):
        raise run.matcher.mismatch(describe(outcome), recorded=event, where=run.where())
