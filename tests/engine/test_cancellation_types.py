"""What cancelling an activity means: tried, waited for, or abandoned. One run, stepped by hand."""

import asyncio
from typing import Any

import pytest

from durable._log import ActivityEnded, CancelDue, RequestCancel
from durable.author import Signal, activity, proxy, sleep, workflow
from durable.errors import ActivityError, ActivityTimeoutError
from durable.history import ActivityScheduled
from durable.retry import RetryPolicy
from tests.engine.harness import SteppedRun

go = Signal("go")


@activity(cancellation="wait", retry=RetryPolicy(max_attempts=3, jitter=0, initial_interval=10))
async def slow(n: int) -> int:
    return n


@activity(cancellation="wait", total_timeout="1m", queue_timeout="30s")
async def limited(n: int) -> int:
    return n


@activity
async def plain(n: int) -> int:
    return n


@workflow
async def waits() -> str:
    try:
        return f"got {await slow(1)}"
    except asyncio.CancelledError:
        return "cancelled"
    except ActivityError as error:
        return f"failed at attempt {error.attempt}"


def stopped(command: int = 1, attempt: int = 1) -> ActivityEnded:
    """Return what a worker says of an attempt that stopped because it was told to."""
    return ActivityEnded(run_id="run-1", id=command, attempt=attempt, how="cancelled")


def asked(run: SteppedRun) -> SteppedRun:
    """Cancel `run`, which waits for an activity that was handed to the world before."""
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested"]
    assert run.status == "running"
    return run


async def test_the_type_is_recorded_with_the_activity() -> None:
    """So it holds for this call whatever the code says later; "try" is not written down."""

    @workflow
    async def three() -> None:
        await asyncio.gather(
            slow(1), plain(1), proxy(plain, cancellation="abandon")(1), proxy(slow, cancellation="try")(1)
        )

    events = [event for event in SteppedRun(three).start().events() if isinstance(event, ActivityScheduled)]
    assert [event.cancellation for event in events] == ["wait", "try", "abandon", "try"]


async def test_waiting_ends_when_the_attempt_has_stopped() -> None:
    """The holder of the task is to be told, the task stays; `CancelledError` comes with the end."""
    run = asked(SteppedRun(waits).start())
    assert run.last.tasks_cancelled == ["run-1/1/1"]
    assert run.last.tasks_removed == []
    assert isinstance(run.dues["run-1/1/cancel"][0], CancelDue)
    run.reload()
    assert run.send(stopped()) == ["ActivityCancelled", "RunCompleted"]
    assert run.result() == "cancelled"
    assert run.dues == {}
    assert run.reload().status == "completed"


async def test_a_result_that_comes_all_the_same_is_taken() -> None:
    """The attempt had finished, or did not listen."""
    run = asked(SteppedRun(waits).start())
    assert run.complete(1, 7) == ["ActivityCompleted", "RunCompleted"]
    assert run.result() == "got 7"
    assert run.reload().status == "completed"


async def test_a_failure_is_not_retried_then() -> None:
    """Nobody wants another attempt."""
    run = asked(SteppedRun(waits).start())
    assert run.fail(1, ValueError("no")) == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "failed at attempt 1"


async def test_what_no_worker_has_seen_ends_at_once() -> None:
    """The activity was scheduled in the very step that cancels it."""
    run = SteppedRun(waits)
    tags = run.send(run.start_message, RequestCancel(request="c"))
    assert tags[-4:] == ["CancelRequested", "ActivityCancelRequested", "ActivityCancelled", "RunCompleted"] or tags == [
        "RunStarted", "ActivityScheduled", "CancelRequested", "ActivityCancelRequested", "ActivityCancelled", "RunCompleted",
    ]  # fmt: skip
    assert (run.tasks, run.dues) == ({}, {})
    assert run.reload().result() == "cancelled"


async def test_one_that_waits_for_its_retry_ends_at_once() -> None:
    """Its next attempt is not on a queue yet."""
    run = SteppedRun(waits).start()
    run.fail(1, ValueError("no"))
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested", "ActivityCancelled", "RunCompleted"]
    assert (run.result(), run.dues) == ("cancelled", {})
    assert run.reload().status == "completed"


async def test_one_whose_retry_is_on_its_queue_is_waited_for() -> None:
    """As with the first attempt."""
    run = SteppedRun(waits).start()
    run.fail(1, ValueError("no"))
    run.fire_next_retry(1)
    asked(run)
    assert run.last.tasks_cancelled == ["run-1/1/2"]
    run.reload()
    run.send(stopped(attempt=2))
    assert run.result() == "cancelled"


async def test_an_attempt_that_no_worker_holds_has_ended() -> None:
    """Once it is marked none will begin it: the due says that the engine has found it so."""
    run = asked(SteppedRun(waits).start())
    assert run.fire_next() == ["ActivityCancelled", "RunCompleted"]
    assert run.tasks == {}
    assert run.reload().result() == "cancelled"


async def test_the_due_of_an_earlier_attempt_or_end_changes_nothing() -> None:
    """It comes late, or the activity is not cancelled at all."""
    run = SteppedRun(waits).start()
    due = CancelDue(workflow_id="wf-1", run_id="run-1", id=1, attempt=1)
    assert run.send(due) == []
    run.fail(1, ValueError("no"))
    assert run.send(due) == []
    assert run.status == "running"


async def test_time_limits_still_hold_while_the_end_is_waited_for() -> None:
    """An attempt that does not stop runs into them."""

    @workflow
    async def one() -> str:
        try:
            await limited(1)
        except ActivityTimeoutError as error:
            return error.kind
        return ""

    run = asked(SteppedRun(one).start())
    run.dues.pop("run-1/1/cancel")
    run.dues.pop("run-1/1/queue")  # a worker holds it
    run.fire_next()
    assert run.result() == "total"
    assert run.dues == {}


async def test_a_second_request_while_it_stops_is_dropped() -> None:
    """The run has been asked already."""
    run = asked(SteppedRun(waits).start())
    assert run.cancel() == []
    run.send(stopped())
    assert run.result() == "cancelled"


async def test_a_run_that_closes_meanwhile_takes_the_task_back() -> None:
    """Nobody waits for its end any more."""

    @workflow
    async def leaves() -> str:
        task = asyncio.ensure_future(slow(1))
        await go.receive()
        task.cancel()
        return "gone"

    run = SteppedRun(leaves).start()
    assert run.signal(go) == ["SignalReceived", "ActivityCancelRequested", "RunCompleted"]
    assert (run.tasks, run.dues) == ({}, {})
    assert run.reload().status == "completed"


async def test_a_stop_that_nobody_asked_for_is_a_failure() -> None:
    """It is not retried: whoever said so meant it."""
    run = SteppedRun(waits).start()
    assert run.send(stopped()) == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "failed at attempt 1"


@pytest.mark.parametrize("result", [3, None])
async def test_a_timeout_waits_for_the_end(result: Any) -> None:
    """`asyncio.timeout` cancels, and the end comes late: as `TimeoutError`, or with the result that came all the same."""

    @workflow
    async def hurried() -> str:
        try:
            async with asyncio.timeout(5):
                return f"got {await slow(1)}"
        except TimeoutError:
            return "too late"

    run = SteppedRun(hurried).start()
    assert run.fire_next() == ["TimerFired", "ActivityCancelRequested"]
    run.reload()
    run.send(stopped(2) if result is None else run.ended(2, result))
    assert run.result() == ("too late" if result is None else "got 3")
    assert run.reload().status == "completed"


async def test_the_members_of_a_group_are_waited_for() -> None:
    """A `TaskGroup` whose member failed ends when the other one, told to stop, has."""

    @workflow
    async def group() -> str:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(slow(1))  # type: ignore[arg-type]
                tasks.create_task(proxy(plain, retry=RetryPolicy(max_attempts=1))(2))  # type: ignore[arg-type]
        except ExceptionGroup as error:
            return f"{len(error.exceptions)} failed"
        return ""

    run = SteppedRun(group).start()
    assert run.fail(2, ValueError("no")) == ["ActivityFailed", "ActivityCancelRequested"]
    assert run.status == "running"
    run.reload()
    run.send(stopped())
    assert run.result() == "1 failed"


async def test_cleanup_begins_when_the_attempt_has_ended() -> None:
    """So it works on what the attempt has left, not beside it."""

    @workflow
    async def tidy() -> int:
        try:
            return await slow(1)
        finally:
            await plain(2)

    run = asked(SteppedRun(tidy).start())
    assert run.send(stopped()) == ["ActivityCancelled", "ActivityScheduled"]
    run.reload()
    assert run.complete(2, 2) == ["ActivityCompleted", "RunCancelled"]
    assert run.reload().status == "cancelled"


async def test_a_shield_keeps_it_from_being_asked() -> None:
    """The wait ends, the activity does not."""

    @workflow
    async def careful() -> str:
        call = asyncio.ensure_future(slow(1))
        try:
            await asyncio.shield(call)
        except asyncio.CancelledError:
            return f"later {await call}"
        return ""

    run = SteppedRun(careful).start()
    assert run.cancel() == ["CancelRequested"]
    run.complete(1, 4)
    assert run.result() == "later 4"


# --- abandoned


@workflow
async def abandons() -> str:
    try:
        await proxy(slow, cancellation="abandon", total_timeout="1h")(1)
    except asyncio.CancelledError:
        await go.receive()
        return "cancelled"
    return "done"


async def test_an_abandoned_activity_goes_on_and_its_outcome_is_dropped() -> None:
    """Its task is not taken back, its limits are; what it gives comes to nothing, and it is not tried again."""
    run = SteppedRun(abandons).start()
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested"]
    assert list(run.tasks) == ["run-1/1/1"]
    assert (run.last.tasks_removed, run.last.tasks_cancelled, run.dues) == ([], [], {})
    run.reload()
    assert run.fail(1, ValueError("no")) == []
    run.signal(go)
    assert run.result() == "cancelled"
    assert run.reload().status == "completed"


async def test_an_abandoned_retry_goes_on_as_well() -> None:
    """It is put on its queue when it is due."""
    run = SteppedRun(abandons).start()
    run.fail(1, ValueError("no"))
    run.cancel()
    assert list(run.dues) == ["run-1/1/retry"]
    run.signal(go)
    assert run.status == "completed"
    assert list(run.dues) == ["run-1/1/retry"]


async def test_an_activity_that_was_not_cancelled_is_taken_back_at_the_close() -> None:
    """Abandoned is only what the code has cancelled."""

    @workflow
    async def forgets() -> str:
        call = asyncio.ensure_future(proxy(slow, cancellation="abandon")(1))
        await sleep(1)
        return f"gone, done: {call.done()}"

    run = SteppedRun(forgets).start()
    run.fire_next()
    assert (run.status, run.tasks) == ("completed", {})


# --- changed code


async def test_the_recorded_type_counts_on_replay() -> None:
    """Code that was changed from "wait" to "try" while the run was open replays, and waits."""

    def version(kind: Any) -> Any:
        @workflow(name="changing")
        async def changing() -> str:
            try:
                await proxy(plain, cancellation=kind)(1)
            except asyncio.CancelledError:
                return "cancelled"
            return ""

        return changing

    run = asked(SteppedRun(version("wait")).start())
    run.reload(version("try"))
    assert run.status == "running"
    run.send(stopped())
    assert run.result() == "cancelled"


def test_an_unknown_type_is_refused_where_it_is_written() -> None:
    """With the known ones."""
    with pytest.raises(ValueError, match="cancellation: expected one of 'try', 'wait', 'abandon', got 'later'"):
        activity(cancellation="later")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="cancellation"):
        proxy(plain, cancellation="no")  # type: ignore[call-overload]
