"""Attempts that are completed from outside: what the owner makes of it. One run, stepped by hand."""

import asyncio
from typing import Any

import msgspec

from durable._log import ActivityBeat, ActivityEnded, AttemptTimeoutDue, HeartbeatDue
from durable.author import activity, proxy, workflow
from durable.errors import ActivityError, ActivityTimeoutError
from durable.retry import RetryPolicy
from tests.engine.harness import START_MS, SteppedRun

RETRY = RetryPolicy(max_attempts=2, jitter=0, initial_interval=10)


@activity(retry=RETRY, timeout="1h", heartbeat_timeout="1m")
async def ask(question: str) -> str:
    return question


@workflow
async def one() -> str:
    try:
        return await ask("why")
    except ActivityTimeoutError as error:
        return f"out of time: {error.kind}"
    except ActivityError as error:
        return f"failed at attempt {error.attempt}"


def deferred(attempt: int = 1, **fields: Any) -> ActivityEnded:
    """Return what a worker says of an attempt that returned `complete_later()`."""
    return ActivityEnded(run_id="run-1", id=1, attempt=attempt, how="deferred", **fields)


def by_token(run: SteppedRun, value: Any = None, *, attempt: int = 1, error: Exception | None = None) -> ActivityEnded:
    """Return what the holder of a token says."""
    return msgspec.structs.replace(run.ended(1, value, attempt=attempt, error=error), by_token=True)


def beat(details: Any = None, attempt: int = 1) -> ActivityBeat:
    """Return a heartbeat of the holder of a token."""
    if details is None:
        return ActivityBeat(run_id="run-1", id=1, attempt=attempt)
    return ActivityBeat(run_id="run-1", id=1, attempt=attempt, details=msgspec.Raw(msgspec.json.encode(details)))


def waiting() -> SteppedRun:
    """Return a run whose activity was left to others."""
    run = SteppedRun(one).start()
    assert run.send(deferred(started_ms=START_MS - 5_000)) == ["ActivityDeferred"]
    return run


async def test_the_owner_takes_over_the_time_limits() -> None:
    """That of the attempt counts from its beginning, that of the heartbeat from now."""
    run = waiting()
    assert run.dues["run-1/1/attempt"][1] == START_MS - 5_000 + 3_600_000
    assert run.dues["run-1/1/heartbeat"][1] == START_MS + 60_000
    assert run.tasks == {}
    assert run.send(deferred()) == []


async def test_its_result_is_recorded_as_any_other() -> None:
    """And no due is left."""
    run = waiting().reload()
    assert run.send(by_token(run, "because")) == ["ActivityCompleted", "RunCompleted"]
    assert (run.result(), run.dues) == ("because", {})
    assert run.reload().status == "completed"


async def test_a_result_before_the_worker_has_returned_counts() -> None:
    """The worker's task is taken back, and what it says then comes too late."""
    run = SteppedRun(one).start()
    task = run.tasks["run-1/1/1"]
    assert run.send(by_token(run, "quick")) == ["ActivityCompleted", "RunCompleted"]
    assert run.last.tasks_removed == [task.task_id]
    assert run.send(deferred()) == []


async def test_a_failure_is_retried_with_what_was_said() -> None:
    """The next attempt is a task of its own, and reads the last details."""
    run = waiting()
    assert run.send(beat({"page": 1})) == ["ActivityHeartbeatRecorded"]
    assert run.send(beat({"page": 2})) == ["ActivityHeartbeatRecorded"]
    run.reload()
    assert run.send(by_token(run, error=ValueError("lost"))) == ["ActivityRetryScheduled"]
    assert list(run.dues) == ["run-1/1/retry"]
    run.fire_next_retry(1)
    task = run.tasks["run-1/1/2"]
    assert msgspec.json.decode(bytes(task.details)) == {"page": 2}  # type: ignore[arg-type]
    assert run.send(by_token(run, "late")) == []
    assert run.send(deferred(2)) == ["ActivityDeferred"]
    assert run.send(by_token(run, attempt=2, error=ValueError("again"))) == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "failed at attempt 2"
    assert run.dues == {}
    assert run.reload().status == "completed"


async def test_what_the_worker_said_before_it_returned_reaches_the_next_attempt() -> None:
    """It is recorded with the deferral."""
    run = SteppedRun(one).start()
    run.send(deferred(details=msgspec.Raw(b'"half"')))
    run.reload()
    run.send(by_token(run, error=ValueError("lost")))
    run.fire_next_retry(1)
    assert bytes(run.tasks["run-1/1/2"].details) == b'"half"'  # type: ignore[arg-type]


async def test_silence_is_a_failure_and_a_heartbeat_moves_that_on() -> None:
    """A due that was on its way while a heartbeat came is no failure."""
    run = waiting()
    run.now_ms += 50_000
    assert run.send(beat()) == []
    assert run.dues["run-1/1/heartbeat"][1] == run.now_ms + 60_000
    run.now_ms += 10_000
    assert run.send(HeartbeatDue(workflow_id="wf-1", run_id="run-1", id=1, attempt=1)) == []
    assert run.dues["run-1/1/heartbeat"][1] == run.now_ms + 50_000
    assert run.fire_next() == ["ActivityRetryScheduled"]
    run.fire_next_retry(1)
    run.send(deferred(2))
    assert run.fire_next() == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "out of time: heartbeat"
    assert run.dues == {}
    assert run.reload().status == "completed"


async def test_the_time_limit_of_the_attempt_holds() -> None:
    """However often it says that it is alive."""
    run = waiting()
    due = run.dues["run-1/1/attempt"][1]
    while run.now_ms + 60_000 < due:
        run.now_ms += 50_000
        run.send(beat())
    run.now_ms = due
    late = AttemptTimeoutDue(workflow_id="wf-1", run_id="run-1", id=1, attempt=1)
    assert run.send(late) == ["ActivityRetryScheduled"]
    assert list(run.dues) == ["run-1/1/retry"]
    assert run.send(late) == []


async def test_a_cancellation_that_waits_is_told_to_the_holder() -> None:
    """Nothing is marked, since no task is left; the end comes by the token."""

    @workflow
    async def patient() -> str:
        try:
            return await proxy(ask, cancellation="wait")("why")
        except asyncio.CancelledError:
            return "stopped"

    run = SteppedRun(patient).start()
    run.send(deferred())
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested"]
    assert (run.last.tasks_cancelled, sorted(run.dues)) == ([], ["run-1/1/attempt", "run-1/1/heartbeat"])
    run.reload()
    stopped = ActivityEnded(run_id="run-1", id=1, attempt=1, how="cancelled", by_token=True)
    assert run.send(stopped) == ["ActivityCancelled", "RunCompleted"]
    assert (run.result(), run.dues) == ("stopped", {})


async def test_a_cancellation_that_does_not_wait_takes_it_all_back() -> None:
    """Its dues go; what the holder says then is dropped."""
    run = waiting()
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested", "RunCancelled"]
    assert run.dues == {}
    assert run.send(by_token(run, "late")) == []


async def test_a_result_of_another_type_fails_the_attempt() -> None:
    """A token without its activity takes any JSON; what does not fit is nobody's to put right by another version of the code."""
    run = waiting()
    wrong = by_token(run, [1])
    assert run.send(wrong) == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "failed at attempt 1"
    assert run.reload().status == "completed"
