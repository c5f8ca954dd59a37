"""A history as people read it: lines, pending work, and why a run waits."""

from typing import Any

import pytest

from durable.cli._timeline import failure_text, timeline_of, value_text, why_waiting

NOW = 1_800_000_000_000
STARTED = {
    "type": "RunStarted",
    "at": NOW,
    "workflow": "checkout",
    "queue": "default",
    "args": [["o-1", 3], {"fast": True}],
}
CHARGE = {"type": "ActivityScheduled", "at": NOW, "id": 1, "activity": "charge", "queue": "pay", "args": [["o-1"], {}]}
DECLINED = {"type": "Declined", "message": "no money", "cause": {"type": "builtins.OSError", "message": "timed\nout"}}
RETRY = {"type": "ActivityRetryScheduled", "at": NOW, "id": 1, "attempt": 2, "due_ms": NOW + 4000, "failure": DECLINED}
CHARGED = {"type": "ActivityCompleted", "at": NOW, "id": 1, "result": {"ok": True}, "attempt": 3}
TIMER = {"type": "TimerStarted", "at": NOW, "id": 2, "due_ms": NOW + 7_500_000}
FAILED = {"type": "RunFailed", "at": NOW, "failure": DECLINED}


def numbered(*events: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(events, start=1))


def why(
    *events: dict[str, Any], status: str = "running", stuck: str | None = None, parked: tuple[str, ...] = ()
) -> str:
    return why_waiting(timeline_of(numbered(*events)), status, stuck, parked, now_ms=NOW)


def test_a_line_says_what_happened_to_what() -> None:
    """An outcome names its activity, though the event holds a number only."""
    lines = timeline_of(numbered(STARTED, CHARGE, RETRY, CHARGED)).lines
    assert [line.what for line in lines] == [
        "run of checkout started",
        "charge #1 scheduled",
        "charge #1 failed, attempt 2",
        "charge #1 completed, attempt 3",
    ]
    assert lines[0].detail == '("o-1", 3, fast=true) on queue default'
    assert lines[2].detail.startswith("Declined: no money, caused by OSError: timed out; next attempt at ")
    assert lines[3].detail == '{"ok":true}'


def test_an_event_of_a_later_version_is_shown_all_the_same() -> None:
    """Nothing is hidden because this code does not know it."""
    new = {"type": "ChildWorkflowStarted.2", "at": NOW, "id": 9, "child": "c-1"}
    (line,) = timeline_of(numbered(new)).lines
    assert (line.what, line.detail) == ("child workflow started", '{"id":9,"child":"c-1"}')


def test_what_is_pending_is_told_with_its_attempt_and_last_failure() -> None:
    """What has ended is not pending."""
    timeline = timeline_of(numbered(STARTED, CHARGE, RETRY, TIMER))
    charge, timer = timeline.pending
    assert (charge.activity, charge.queue, charge.attempt, charge.due_ms) == ("charge", "pay", 3, NOW + 4000)
    assert charge.last_failure == "Declined: no money, caused by OSError: timed out"
    assert (timer.activity, timer.due_ms) == ("", NOW + 7_500_000)
    assert timeline_of(numbered(STARTED, CHARGE, CHARGED)).pending == []
    assert timeline_of(numbered(STARTED, CHARGE, FAILED)).pending == []


def test_reopening_makes_the_end_void_and_the_activity_pending_again() -> None:
    """After `retry` the run is open, and what failed is tried anew."""
    gone = {"type": "ActivityFailed", "at": NOW, "id": 1, "failure": DECLINED}
    reopened = {"type": "RunReopened", "at": NOW, "voids_from": 3, "activity": 1, "attempt": 11}
    timeline = timeline_of(numbered(STARTED, CHARGE, gone, FAILED, reopened))
    assert [line.voided for line in timeline.lines] == [False, False, True, True, False]
    assert not timeline.closed
    (charge,) = timeline.pending
    assert (charge.activity, charge.attempt) == ("charge", 11)


def test_a_fork_shows_where_its_own_part_begins() -> None:
    """What was pending there is pending still."""
    forked = {"type": "RunForked", "at": NOW, "workflow_id": "source", "run_id": "r", "event": 2, "seed": "s"}
    timeline = timeline_of(numbered({**STARTED, "forked_from": {"workflow_id": "source"}}, CHARGE, forked))
    assert timeline.lines[0].what.endswith("started, as that of another run")
    assert (timeline.lines[2].what, timeline.lines[2].detail) == ("forked here", "from source, after its event 2")
    assert [one.activity for one in timeline.pending] == ["charge"]


def test_an_activity_that_is_cancelled_or_left_to_others_says_so() -> None:
    """While its end is waited for; then it is pending no more."""
    asked = {**CHARGE, "cancellation": "wait"}
    deferred = {"type": "ActivityDeferred", "at": NOW, "id": 1}
    beat = {"type": "ActivityHeartbeatRecorded", "at": NOW, "id": 1, "details": {"page": 2}}
    cancelled = {"type": "ActivityCancelRequested", "at": NOW, "id": 1}
    stopped = {"type": "ActivityCancelled", "at": NOW, "id": 1}
    assert "attempt 1, to be completed from outside" in why(STARTED, asked, deferred)
    assert "attempt 1, told to stop" in why(STARTED, asked, deferred, beat, cancelled)
    assert "charge" not in why(STARTED, asked, deferred, cancelled, stopped)
    assert "charge" not in why(STARTED, CHARGE, cancelled)
    whats = [line.what for line in timeline_of(numbered(STARTED, asked, deferred, beat, cancelled, stopped)).lines[2:]]
    assert whats == [
        "charge #1 is to be completed from outside", "charge #1 is alive", "charge #1 cancelled", "charge #1 stopped"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (why(STARTED, stuck="NonDeterminismError: x"), "stuck: NonDeterminismError: x"),
        (why(status="timed_out"), "timed out"),
        (why(), "nobody has begun it"),
        (why(STARTED, CHARGE), "waiting for activity charge #1 on queue pay, attempt 1"),
        (why(STARTED, CHARGE, RETRY), "attempt 3 in 4.0 s (the last one failed: Declined: no money"),
        (why(STARTED, TIMER), "waiting for timer #2 (due in 2 h 5 min), or a signal"),
        (why(STARTED), "waiting for a signal"),
        (why(STARTED, CHARGE, parked=("charge",)), "charge is parked"),
    ],
)
def test_why_it_waits_is_one_sentence(sentence: str, said: str) -> None:
    """The first question that a person asks of a run has an answer."""
    assert said in sentence


def test_a_payload_of_another_codec_is_named_not_dumped() -> None:
    """Base64 helps nobody."""
    assert value_text({"$codec": "pickle", "data": "gASV"}) == "<pickle>"
    assert len(value_text("x" * 1000)) == 100
    assert failure_text(None) == ""


def test_a_worker_that_is_missing_is_named() -> None:
    """What else the run waits for is no lie, but it will not help."""
    timeline = timeline_of(numbered(STARTED, CHARGE))
    text = why_waiting(
        timeline, "running", None, (), ["no running worker of queue pay knows activity charge"], now_ms=NOW
    )
    assert text.startswith("waiting for activity charge #1 on queue pay, attempt 1; no running worker of queue pay")


def test_children_are_told_by_their_ids() -> None:
    """Started, cancelled, ended; a pending one says where to look."""
    asked = {
        "type": "ChildStartRequested", "at": NOW, "id": 1, "workflow": "ship", "workflow_id": "o-1/ship", "queue": "far",
        "args": [["o-1"], {}],
    }  # fmt: skip
    started = {"type": "ChildStarted", "at": NOW, "id": 1, "run_id": "r-9"}
    cancel = {"type": "ChildCancelRequested", "at": NOW, "id": 1, "reason": "late"}
    ended = {"type": "ChildFailed", "at": NOW, "id": 1, "status": "timed_out", "failure": DECLINED}
    done = {"type": "ChildCompleted", "at": NOW, "id": 1, "result": 7}
    taken = {"type": "ChildStartFailed", "at": NOW, "id": 1, "failure": DECLINED}
    lines = timeline_of(numbered(STARTED, asked, started, cancel, ended, done, taken)).lines
    assert [line.what for line in lines[1:]] == [
        "child o-1/ship #1 asked for",
        "child o-1/ship #1 started",
        "cancellation of child o-1/ship #1 asked for",
        "child o-1/ship #1 timed out",
        "child o-1/ship #1 completed",
        "child o-1/ship #1 could not be started",
    ]
    assert [line.detail for line in lines[1:4]] == ['ship("o-1") on queue far', "run r-9", "late"]
    assert why(STARTED, asked, started) == "waiting for child o-1/ship (#1): see `durable show o-1/ship`"
    assert why(STARTED, asked, started, done) == "waiting for a signal, or for its worker to go on"
    child = {**STARTED, "parent": {"workflow_id": "o-1", "run_id": "r-1", "command": 1, "partition": 0}}
    assert timeline_of(numbered(child)).lines[0].detail.endswith("on queue default, child of o-1")


def test_an_update_is_told_by_its_name_and_its_id() -> None:
    """The end holds only the id; while the handler has not ended, the run waits for it."""
    accepted = {"type": "UpdateAccepted", "at": NOW, "update": "u-1", "name": "take", "value": 3}
    completed = {"type": "UpdateCompleted", "at": NOW, "id": 1, "update": "u-1", "result": 7}
    failed = {"type": "UpdateCompleted", "at": NOW, "id": 1, "update": "u-1", "failure": DECLINED}
    lines = timeline_of(numbered(STARTED, accepted, completed)).lines
    assert [(line.what, line.detail) for line in lines[1:]] == [
        ("update take (u-1) accepted", "3"),
        ("update take (u-1) completed", "7"),
    ]
    assert timeline_of(numbered(STARTED, accepted, failed)).lines[2].what == "update take (u-1) failed"
    assert why(STARTED, accepted) == "waiting for the handler of update take"
    assert why(STARTED, accepted, completed) == "waiting for a signal, or for its worker to go on"


def test_a_chain_says_where_it_comes_from_and_goes_to() -> None:
    """With what went along, and whose limit ended it."""
    started = {
        **STARTED,
        "continued_from": "run-1",
        "execution_timeout_ms": 3_600_000,
        "signals": [{"name": "go", "request": "r", "value": 1}, {"name": "stop", "request": "s", "value": 1}],
    }
    going = {"type": "RunContinuedAsNew", "at": NOW, "new_run_id": "run-3", "workflow": "checkout", "queue": "q",
             "args": [["o-2"], {}], "signals": ["r"], "cancel": True}  # fmt: skip
    timeline = timeline_of(numbered(started, going))
    first, last = timeline.lines
    assert "its chain at most 1 h, continues run run-1, with signals go, stop" in first.detail
    assert (last.what, last.detail) == (
        "run continued as new",
        'run run-3 of checkout("o-2"), with 1 unread signal, with a cancellation',
    )
    assert timeline.closed
    ended = {"type": "RunTimedOut", "at": NOW, "timeout_ms": 3_600_000, "kind": "execution"}
    assert timeline_of(numbered(STARTED, ended)).lines[-1].detail == "after 1 h (the limit of its whole chain)"
