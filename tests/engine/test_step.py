"""One run, stepped without an engine: what its code asks for, and what it makes of what happens."""

import asyncio

import pytest

from durable._log import RunTimeoutDue
from durable.author import Signal, activity, sleep, workflow
from durable.errors import ActivityError, ActivityTimeoutError, InternalError
from durable.history import ActivityScheduled, RunFailed, TimerStarted
from durable.retry import RetryPolicy
from tests.engine.harness import SteppedRun


class Declined(Exception):
    """A declared error."""


@activity
async def add(a: int, b: int) -> int:
    return a + b


@activity(retry=RetryPolicy(max_attempts=3, jitter=0), raises=[Declined])
async def charge(amount: int) -> str:
    return f"paid {amount}"


@activity(timeout="5s", total_timeout="30s", queue_timeout="10s", heartbeat_timeout="2s", queue="far")
async def limited() -> int:
    return 1


number = Signal("number", int)
WORLD = {"add": lambda a, b: a + b}


async def test_a_step_records_what_happened_and_then_what_the_code_asked_for() -> None:
    """Each inbound event is followed by the commands that the code issued at it."""

    @workflow
    async def chain(n: int) -> int:
        total = 0
        for i in range(n):
            total = await add(total, i)
        return total

    run = SteppedRun(chain, 3).start()
    assert run.tags() == ["RunStarted", "ActivityScheduled"]
    assert run.complete(1, 0) == ["ActivityCompleted", "ActivityScheduled"]
    assert run.complete(2, 1) == ["ActivityCompleted", "ActivityScheduled"]
    assert run.complete(3, 3) == ["ActivityCompleted", "RunCompleted"]
    assert run.result() == 3
    assert run.status == "completed"


async def test_a_task_has_all_that_a_worker_needs() -> None:
    """Limits, arguments and the attempt go with the task; the queue is that of the activity."""

    @workflow
    async def one() -> int:
        return await limited()

    run = SteppedRun(one).start()
    (task, queue) = run.last.tasks["run-1/1/1"]
    assert (task.activity, task.attempt, task.timeout_ms, task.heartbeat_timeout_ms) == ("limited", 1, 5000, 2000)
    assert queue == "far"
    assert task.idempotency_key == "run-1/1"
    assert sorted(run.dues) == ["run-1/1/queue", "run-1/1/total"]
    assert run.dues["run-1/1/total"][1] == run.now_ms + 30_000


async def test_an_ended_activity_leaves_no_due_behind() -> None:
    """The limits of an activity go when it has ended."""

    @workflow
    async def one() -> int:
        return await limited() + await add(1, 1)

    run = SteppedRun(one).start()
    run.complete(1, 1)
    assert run.dues == {}


async def test_a_failed_attempt_is_tried_again_by_the_policy_and_then_raised() -> None:
    """Three attempts with pauses of 1 s and 2 s, then `ActivityError` with its cause."""

    @workflow
    async def pay() -> str:
        try:
            return await charge(5)
        except ActivityError as error:
            return f"{error.attempt} {type(error.__cause__).__name__} {error.__cause__}"

    run = SteppedRun(pay).start()
    assert run.fail(1, OSError("down")) == ["ActivityRetryScheduled"]
    item, due_ms = run.dues["run-1/1/retry"]
    assert due_ms == run.now_ms + 1000
    assert item.task.attempt == 2
    run.tasks = {item.task.task_id: item.task}
    assert run.fail(1, OSError("down")) == ["ActivityRetryScheduled"]
    item, due_ms = run.dues["run-1/1/retry"]
    assert due_ms == run.now_ms + 2000
    run.tasks = {item.task.task_id: item.task}
    assert run.fail(1, OSError("down")) == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "3 OSError down"
    assert run.dues == {}


async def test_a_declared_error_is_raised_as_itself_and_not_retried() -> None:
    """`raises=` names what the workflow handles; it ends the activity at once."""

    @workflow
    async def pay() -> str:
        try:
            return await charge(5)
        except Declined as error:
            return f"declined: {error}"

    run = SteppedRun(pay).start()
    failure = run.ended(1, error=Declined("no funds")).failure
    assert failure is not None
    from durable.codec import failure_of

    declared = failure_of(Declined("no funds"), run.codec, known=[Declined]).as_wire() | {"retryable": False}
    message = run.ended(1, error=Declined("no funds"))
    run.send(type(message)(run_id="run-1", id=1, attempt=1, failure=declared))
    assert run.result() == "declined: no funds"


async def test_a_bug_in_an_activity_is_not_retried() -> None:
    """`TypeError` and its like are bugs: trying again cannot help."""

    @workflow
    async def pay() -> str:
        return await charge(5)

    run = SteppedRun(pay).start()
    assert run.fail(1, TypeError("oops")) == ["ActivityFailed", "RunFailed"]
    assert "ActivityError" in run.failure()
    assert "TypeError: oops" in run.failure()


async def test_an_activity_that_used_up_its_total_time_fails_with_a_timeout() -> None:
    """The total limit counts attempts and pauses together, and takes the task back."""

    @workflow
    async def one() -> str:
        try:
            await limited()
        except ActivityTimeoutError as error:
            return error.kind
        return "in time"

    run = SteppedRun(one).start()
    run.dues.pop("run-1/1/queue")
    assert run.fire_next() == ["ActivityFailed", "RunCompleted"]
    assert run.result() == "total"
    assert "run-1/1/1" in run.last.tasks_removed


async def test_a_retry_that_could_not_begin_in_time_is_not_scheduled() -> None:
    """A pause that leads past the total limit ends the activity now."""

    @activity(total_timeout="3s", retry=RetryPolicy(initial_interval=5, jitter=0))
    async def brief() -> int:
        return 1

    @workflow
    async def one() -> int:
        return await brief()

    run = SteppedRun(one).start()
    assert run.fail(1, OSError("down")) == ["ActivityFailed", "RunFailed"]


async def test_an_exceptions_retry_after_sets_the_pause() -> None:
    """What the far side asks for goes before the policy."""

    class Busy(Exception):
        retry_after = "42s"

    @workflow
    async def pay() -> str:
        return await charge(5)

    run = SteppedRun(pay).start()
    run.fail(1, Busy("later"))
    assert run.dues["run-1/1/retry"][1] == run.now_ms + 42_000


async def test_an_exception_fails_the_run_with_its_type_and_message() -> None:
    """What leaves the workflow's code fails the run, and says where it was."""

    @workflow
    async def broken() -> None:
        raise LookupError("no such order")

    run = SteppedRun(broken).start()
    assert run.status == "failed"
    assert run.failure() == "builtins.LookupError: no such order"
    last = run.events()[-1]
    assert isinstance(last, RunFailed)
    assert "in broken" in last.failure["traceback"]
    assert last.failed_at == 1


async def test_an_exception_group_fails_the_run() -> None:
    """An `ExceptionGroup` of a `TaskGroup` is an exception like any other: it fails the run, its members recorded."""

    @workflow
    async def grouped() -> None:
        async def bad(text: str) -> None:
            raise ValueError(text)

        async with asyncio.TaskGroup() as group:
            group.create_task(bad("one"))
            group.create_task(bad("two"))

    run = SteppedRun(grouped).start()
    last = run.events()[-1]
    assert isinstance(last, RunFailed)
    assert [member["message"] for member in last.failure["group"]] == ["one", "two"]


async def test_a_result_that_cannot_be_encoded_fails_its_own_run() -> None:
    """The workflow's code is at fault: its run fails, naming what it returned."""

    @workflow
    async def odd() -> object:
        return object()

    run = SteppedRun(odd).start()
    assert run.status == "failed"
    assert "result of workflow odd" in run.failure()
    assert "object" in run.failure()


async def test_arguments_that_cannot_be_encoded_fail_that_call_and_nothing_else() -> None:
    """The call raises in the workflow, which may go on; a replay goes the same way."""

    @workflow
    async def careful() -> int:
        try:
            await add("one", 2)  # type: ignore[arg-type]
        except TypeError as error:
            assert "a" in str(error)
            return await add(1, 2)
        return 0

    run = SteppedRun(careful).start()
    assert run.waiting() == ["add#2"]
    run.reload()
    run.complete(2, 3)
    assert run.result() == 3


async def test_a_timer_fires_at_its_time_and_not_before() -> None:
    """`sleep` is a durable timer, due to the millisecond."""

    @workflow
    async def nap() -> str:
        await sleep("1 hour")
        return "rested"

    run = SteppedRun(nap).start()
    started = run.events()[1]
    assert isinstance(started, TimerStarted)
    assert started.due_ms == run.now_ms + 3_600_000
    assert run.fire_next() == ["TimerFired", "RunCompleted"]


@pytest.mark.parametrize(("delay", "ms"), [(0.07, 70), ("250 ms", 250), (0.0001, 1), (1.1, 1100), (30, 30_000)])
async def test_a_delay_is_rounded_up_to_whole_milliseconds_and_no_further(delay: float | str, ms: int) -> None:
    """0.07 * 1000 is 70.00000000000001 in floats; that is no 71st millisecond."""

    @workflow
    async def nap() -> None:
        await sleep(delay)

    run = SteppedRun(nap).start()
    started = run.events()[1]
    assert isinstance(started, TimerStarted)
    assert started.due_ms - run.now_ms == ms


async def test_sleeping_for_no_time_records_nothing() -> None:
    """A delay of 0 gives the other tasks a turn, as in asyncio."""

    @workflow
    async def quick() -> str:
        await sleep(0)
        await asyncio.sleep(0)
        return "done"

    assert SteppedRun(quick).start().tags() == ["RunStarted", "RunCompleted"]


@pytest.mark.parametrize("seconds", [0, -5, -0.001])
async def test_asyncios_sleep_of_no_time_records_nothing(seconds: float) -> None:
    """As in asyncio: whoever else is ready goes first, and then it goes on, in the same step. Ours refuses what is below zero."""
    order: list[str] = []

    @workflow
    async def naps() -> list[str]:
        async def other() -> None:
            order.append("other")

        task = asyncio.ensure_future(other())
        order.append(str(await asyncio.sleep(seconds, "slept")))
        if seconds < 0:
            with pytest.raises(ValueError, match=f"{seconds}"):
                await sleep(seconds)
        await task
        return order

    run = SteppedRun(naps).start()
    assert run.tags() == ["RunStarted", "RunCompleted"]
    assert run.result() == ["other", "slept"]
    assert run.timers() == []
    order.clear()
    assert run.reload().status == "completed"


async def test_what_came_with_the_time_limit_goes_first() -> None:
    """A run that ends by it has ended in time, and one that does not is timed out after it."""
    limit = RunTimeoutDue(workflow_id="wf-1", run_id="run-1", timeout_ms=60_000)
    for count, close in ((1, "RunCompleted"), (2, "RunTimedOut")):

        @workflow
        async def hears(count: int = count) -> int:
            return sum([await number.receive() for _ in range(count)])

        run = SteppedRun(hears).start()
        assert run.send(limit, run.signal_message(number, 1)) == ["SignalReceived", close]
        assert run.reload().status == ("completed" if count == 1 else "timed_out")


async def test_what_is_pending_is_taken_back_when_the_run_ends() -> None:
    """Tasks and timers of a run that has ended are removed in the same commit."""

    @workflow
    async def hasty() -> str:
        asyncio.get_running_loop().create_task(sleep(60))
        add(1, 2)
        await sleep(1)
        return "done"

    run = SteppedRun(hasty).start()
    assert len(run.dues) == 2
    assert run.waiting() == ["add#1"]
    run.fire_next()
    assert run.status == "completed"
    assert run.dues == {}
    assert run.waiting() == []


async def test_a_task_made_and_given_up_in_one_step_is_never_written() -> None:
    """The decision has neither the task nor its removal."""

    @workflow
    async def fickle() -> None:
        call = add(1, 2)
        call.cancel()  # type: ignore[attr-defined]
        await sleep(1)

    run = SteppedRun(fickle).start()
    assert run.tags() == ["RunStarted", "ActivityScheduled", "ActivityCancelRequested", "TimerStarted"]
    assert run.last.tasks == {}
    assert run.last.tasks_removed == []


async def test_the_time_of_a_run_does_not_go_back() -> None:
    """The store's clock may; `at` of a later event is never smaller."""

    @workflow
    async def two() -> int:
        return await add(1, 1) + await add(2, 2)

    run = SteppedRun(two).start()
    run.now_ms -= 5_000
    run.complete(1, 2)
    times = [event.at for event in run.events()]
    assert times == sorted(times)


async def test_a_message_of_no_known_kind_is_an_error_of_ours() -> None:
    """It makes the run stuck; it is not passed over."""

    @workflow
    async def one() -> None:
        await sleep(1)

    run = SteppedRun(one).start()
    with pytest.raises(InternalError, match="int"):
        run.send(5)


async def test_a_run_that_reached_its_time_limit_is_timed_out() -> None:
    """The limit counts from the start; the code is not asked."""

    @workflow(timeout="1 minute")
    async def slow() -> None:
        await sleep("1 day")

    run = SteppedRun(slow).start()
    assert run.fire_next() == ["RunTimedOut"]
    assert run.status == "timed_out"
    assert run.dues == {}


async def test_a_terminated_run_ends_at_once() -> None:
    """Its code is not asked, and what it waited for is taken back."""
    cleaned = []

    @workflow
    async def stubborn() -> None:
        try:
            await add(1, 2)
        finally:
            cleaned.append(1)

    run = SteppedRun(stubborn).start()
    assert run.terminate() == ["RunTerminated"]
    assert run.waiting() == []
    assert cleaned == []
    assert run.terminate() == []


async def test_two_calls_of_one_activity_are_two_commands() -> None:
    """Each call has a number of its own; results may come in any order."""

    @workflow
    async def both() -> list[int]:
        first, second = add(1, 1), add(2, 2)
        return [await first, await second]

    run = SteppedRun(both).start()
    assert [e.id for e in run.events() if isinstance(e, ActivityScheduled)] == [1, 2]
    run.complete(2, 4)
    run.complete(1, 2)
    assert run.result() == [2, 4]
