"""Cancelling a run: `CancelledError` at its await, as in any asyncio program."""

import asyncio

import pytest

from durable.author import Signal, activity, sleep, workflow
from durable.history import RunCancelled
from tests.engine.harness import SteppedRun

go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


@activity
async def undo(n: int) -> int:
    return n


async def test_a_cancelled_run_takes_back_what_it_waited_for() -> None:
    """The activity's task is removed, and the run ends as cancelled, with the reason."""

    @workflow
    async def one() -> int:
        return await work(1)

    run = SteppedRun(one).start()
    assert run.cancel("changed my mind") == ["CancelRequested", "ActivityCancelRequested", "RunCancelled"]
    last = run.events()[-1]
    assert isinstance(last, RunCancelled)
    assert last.reason == "changed my mind"
    assert run.waiting() == []
    assert run.reload().status == "cancelled"


async def test_cancellation_that_comes_with_the_start_reaches_the_first_await() -> None:
    """The code runs to its first await, and is cancelled there."""
    began = []

    @workflow
    async def one() -> int:
        began.append(1)
        return await work(1)

    run = SteppedRun(one)
    from durable._log import RequestCancel

    run.send(RequestCancel(request="c"), run.start_message)
    assert run.status == "cancelled"
    assert began == [1]
    assert run.last.tasks == {}
    run.reload()


async def test_cleanup_may_await_activities() -> None:
    """A `finally` block runs like any other code; the run ends when it has ended."""

    @workflow
    async def tidy() -> int:
        try:
            return await work(1)
        finally:
            await undo(1)

    run = SteppedRun(tidy).start()
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested", "ActivityScheduled"]
    assert run.status == "running"
    run.reload()
    assert run.complete(2, 1) == ["ActivityCompleted", "RunCancelled"]
    assert run.reload().status == "cancelled"


async def test_a_second_request_does_not_interrupt_the_cleanup() -> None:
    """It is dropped: the first one is being carried out."""

    @workflow
    async def tidy() -> int:
        try:
            return await work(1)
        finally:
            await undo(1)

    run = SteppedRun(tidy).start()
    run.cancel()
    assert run.cancel() == []
    assert run.waiting() == ["undo#2"]
    run.complete(2, 1)
    assert run.status == "cancelled"


async def test_cancellation_reaches_every_member_of_a_gather() -> None:
    """All activities of the gather are given up."""

    @workflow
    async def both() -> list[int]:
        return await asyncio.gather(
            work(1),
            work(2),
            sleep(
                5,
            ),
            return_exceptions=False,
        )  # type: ignore[return-value]

    run = SteppedRun(both).start()
    assert run.cancel()[-1] == "RunCancelled"
    assert run.waiting() == []
    assert run.dues == {}
    assert run.reload().status == "cancelled"


async def test_a_shielded_activity_goes_on() -> None:
    """The wait is cancelled, the activity is not; its result can still be awaited."""

    @workflow
    async def careful() -> int:
        call = asyncio.ensure_future(work(1))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            return 100 + await call

    run = SteppedRun(careful).start()
    assert run.cancel() == ["CancelRequested"]
    assert run.waiting() == ["work#1"]
    run.reload()
    run.complete(1, 5)
    assert run.result() == 105
    assert run.reload().status == "completed"


async def test_a_swallowed_cancellation_lets_the_run_complete() -> None:
    """As in asyncio: who catches it decides."""

    @workflow
    async def stubborn() -> str:
        try:
            await work(1)
        except asyncio.CancelledError:
            return "finished anyway"
        return ""

    run = SteppedRun(stubborn).start()
    assert run.cancel() == ["CancelRequested", "ActivityCancelRequested", "RunCompleted"]
    assert run.result() == "finished anyway"


async def test_an_exception_during_the_cleanup_fails_the_run() -> None:
    """What leaves the code counts."""

    @workflow
    async def clumsy() -> None:
        try:
            await work(1)
        finally:
            raise ValueError("cleanup")

    run = SteppedRun(clumsy).start()
    run.cancel()
    assert run.status == "failed"


async def test_a_late_result_of_a_cancelled_activity_is_dropped() -> None:
    """Its worker may have been done already."""

    @workflow
    async def gives_up() -> str:
        call = work(1)
        call.cancel()  # type: ignore[attr-defined]
        await go.receive()
        return "done"

    run = SteppedRun(gives_up).start()
    assert run.complete(1, 1) == []
    run.signal(go)
    assert run.result() == "done"
    assert run.reload().status == "completed"


async def test_code_that_cancels_itself_fails_the_run() -> None:
    """Nobody asked for it, so it is no cancellation of the run."""

    @workflow
    async def odd() -> None:
        raise asyncio.CancelledError

    run = SteppedRun(odd).start()
    assert run.status == "failed"
    assert "cancelled itself" in run.failure()


async def test_cancelling_a_task_of_the_code_is_the_codes_business() -> None:
    """`task.cancel()` gives up what that task waits for, and nothing else."""

    @workflow
    async def picky() -> int:
        loser, winner = asyncio.create_task(work(1)), asyncio.create_task(work(2))  # type: ignore[arg-type]
        await go.receive()
        loser.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loser
        return await winner

    run = SteppedRun(picky).start()
    assert run.signal(go) == ["SignalReceived", "ActivityCancelRequested"]
    run.reload()
    run.complete(2, 2)
    assert run.result() == 2


async def test_a_signal_in_the_step_of_a_cancellation_is_not_lost() -> None:
    """Messages of callers keep their order: the signal first, then the cancellation."""
    number = Signal("number", int)

    @workflow
    async def reads() -> int:
        try:
            await sleep(100)
        finally:
            assert number.receive_nowait() == 4
        return 0

    run = SteppedRun(reads).start()
    from durable._log import RequestCancel

    tags = run.send(run.signal_message(number, 4), RequestCancel(request="c"))
    assert tags == ["SignalReceived", "CancelRequested", "TimerCancelled", "RunCancelled"]


async def test_a_receive_that_is_cancelled_keeps_the_signal_for_the_next() -> None:
    """A timeout around `receive` loses nothing."""
    number = Signal("number", int)

    @workflow
    async def reads() -> list[int]:
        got = []
        for _ in range(2):
            try:
                async with asyncio.timeout(5):
                    got.append(await number.receive())
            except TimeoutError:
                got.append(-1)
        return got

    run = SteppedRun(reads).start()
    run.fire_next()
    run.signal(number, 8)
    assert run.result() == [-1, 8]
    assert run.reload().status == "completed"
