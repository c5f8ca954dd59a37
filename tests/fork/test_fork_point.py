"""After which events a history can be forked, and what a fork takes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from durable.errors import InvalidCallError
from durable.history import (
    WIRE,
    ActivityCompleted,
    ActivityRetryScheduled,
    ActivityScheduled,
    ChildFailed,
    ChildStarted,
    ChildStartRequested,
    Event,
    ExternalDelivered,
    ExternalSignalRequested,
    RecordedEvent,
    RunCompleted,
    RunFailed,
    RunReopened,
    RunStarted,
    RunTerminated,
    SignalReceived,
    TimerFired,
    TimerStarted,
    fork_point,
    forked,
)

NULL = msgspec.Raw(b"null")
FAILURE: dict[str, Any] = {"type": "builtins.ValueError", "message": "no"}
STARTED = RunStarted(
    at=1, workflow="flow", workflow_id="w", run_id="r", queue="default", args=msgspec.Raw(b"[[],{}]"), request="q"
)


def scheduled(id: int) -> ActivityScheduled:
    return ActivityScheduled(at=1, id=id, activity="work", queue="default", args=msgspec.Raw(b"[[],{}]"))


def recorded(*events: Event) -> list[RecordedEvent]:
    return [RecordedEvent(seq, event, WIRE.encode(event)) for seq, event in enumerate(events, 1)]


CHAIN = recorded(
    STARTED, scheduled(1), TimerStarted(at=1, id=2, due_ms=9), ActivityCompleted(at=2, id=1, result=NULL), scheduled(3),
    ActivityRetryScheduled(at=3, id=3, attempt=1, due_ms=4, failure=FAILURE), TimerFired(at=9, id=2),
)  # fmt: skip


@pytest.mark.parametrize("at", [3, 5, 6, 7])
def test_the_end_of_each_step_is_a_point(at: int) -> None:
    """So is a note, and the end of the history."""
    assert fork_point(CHAIN, at) == at
    assert forked(CHAIN, at) == [each.event for each in CHAIN[:at]]


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (1, r"event 1 \(RunStarted\): the step goes on with event 2 \(ActivityScheduled\); fork at 3$"),
        (2, r"event 2 \(ActivityScheduled\): the step goes on with event 3 \(TimerStarted\); fork at 3$"),
        (4, r"event 4 \(ActivityCompleted\): the step goes on with event 5 \(ActivityScheduled\); fork at 3 or 5$"),
        (0, "from 1 to 7, got 0"),
        (-1, "from 1 to 7, got -1"),
        (8, "from 1 to 7, got 8"),
        (True, "the number of an event, got True"),
        ("3", "the number of an event, got '3'"),
    ],
)
def test_the_middle_of_a_step_is_none(at: Any, says: str) -> None:
    """The error names the event and the nearest points."""
    with pytest.raises(InvalidCallError, match=says):
        fork_point(CHAIN, at)


def test_the_default_is_the_end_of_an_open_run() -> None:
    """All of it."""
    assert fork_point(CHAIN) == 7


def closed_by(*events: Event) -> Sequence[RecordedEvent]:
    return recorded(STARTED, scheduled(1), ActivityCompleted(at=2, id=1, result=NULL), *events)


def test_the_default_of_a_run_that_ended_itself_is_the_step_before() -> None:
    """So the last thing that happened can go otherwise."""
    assert fork_point(closed_by(RunCompleted(at=2, result=NULL))) == 2
    late = SignalReceived(at=2, name="s", request="x", value=NULL)
    assert fork_point(closed_by(late, RunFailed(at=2, failure=FAILURE, failed_at=3))) == 2
    assert fork_point(closed_by(RunFailed(at=2, failure=FAILURE))) == 2


def test_the_default_of_a_run_that_was_ended_is_all_of_it() -> None:
    """Its code was not asked."""
    assert fork_point(closed_by(RunTerminated(at=2, request="t"))) == 3


def test_a_close_is_not_taken() -> None:
    """Its number means what comes before it."""
    history = closed_by(RunCompleted(at=2, result=NULL))
    assert fork_point(history, 4) == 3
    assert forked(history, 3) == [each.event for each in history[:3]]


def test_code_that_ended_in_its_first_step_has_no_default() -> None:
    """What to do instead is said."""
    history = recorded(STARTED, RunCompleted(at=1, result=NULL))
    with pytest.raises(InvalidCallError, match=r"ended in its first step, at event 1.*start a new run"):
        fork_point(history)
    assert fork_point(history, 1) == 1


def test_a_run_without_events_cannot_be_forked() -> None:
    """Nobody has begun it."""
    with pytest.raises(InvalidCallError, match="no events yet"):
        fork_point([])


def test_what_is_under_way_with_others_cannot_be_taken_over() -> None:
    """A message or a child; before and after it, the history can be forked."""
    child = ChildStartRequested(at=2, id=2, workflow="kid", workflow_id="k", queue="default", args=NULL)
    asked = ExternalSignalRequested(at=5, id=3, workflow_id="other", name="go", value=NULL)
    history = recorded(
        STARTED, scheduled(1), ActivityCompleted(at=2, id=1, result=NULL), child, ChildStarted(at=3, id=2, run_id="kr"),
        ChildFailed(at=4, id=2, failure=FAILURE, status="failed"), asked, ExternalDelivered(at=6, id=3),
    )  # fmt: skip
    assert [n for n in range(1, 9) if _can(history, n)] == [2, 8]
    with pytest.raises(InvalidCallError, match=r"child 'kid' with id 'k' \(#2\) is under way.*fork at 2 or 8"):
        fork_point(history, 5)
    with pytest.raises(InvalidCallError, match=r"signal 'go' to 'other' \(#3\) is under way"):
        fork_point(history, 7)
    with pytest.raises(InvalidCallError, match="the step goes on with event 7"):
        fork_point(history, 6)


def _can(history: Sequence[RecordedEvent], at: int) -> bool:
    try:
        fork_point(history, at)
    except InvalidCallError:
        return False
    return True


def test_voided_events_are_not_taken() -> None:
    """A fork after a reopening has what counts; one before it has what counted then. Its own reopening voids nothing."""
    failed = ActivityCompleted(at=2, id=1, result=NULL)
    reopened = RunReopened(at=5, request="x", voids_from=3, number=1)
    again = ActivityCompleted(at=5, id=1, result=NULL)
    history = recorded(
        STARTED, scheduled(1), failed, RunFailed(at=2, failure=FAILURE, failed_at=3), reopened, again, scheduled(2)
    )
    assert forked(history, fork_point(history, 3)) == [STARTED, scheduled(1), failed]
    taken = forked(history, fork_point(history))
    own = RunReopened(at=5, request="x", voids_from=3, number=1)
    assert taken == [STARTED, scheduled(1), own, again, scheduled(2)]
    assert forked(recorded(*taken), 5) == taken


def test_a_long_history_is_looked_through_once() -> None:
    """Also where no point is near."""
    asked = ExternalSignalRequested(at=1, id=1, workflow_id="other", name="go", value=NULL)
    signals = [SignalReceived(at=1, name="s", request=str(n), value=NULL) for n in range(20_000)]
    history = recorded(STARTED, asked, *signals)
    with pytest.raises(InvalidCallError, match=r"is under way.*no event to fork at"):
        fork_point(history)
