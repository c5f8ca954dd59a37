"""A future whose command takes time to cancel: whoever waits goes on waiting until the command has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable._runtime.commands import Command, DeferringFuture
from durable._runtime.context import require_run
from durable.author import Signal, sleep, workflow
from tests.engine.harness import SteppedRun

go = Signal("go")
made: list["Slow"] = []


class Slow(Command):
    """A command that ends when the test says so."""

    __slots__ = ("asked", "future")

    def __init__(self) -> None:
        run = require_run("a slow command")
        super().__init__(run, run.next_command_id())
        self.asked = 0
        self.future = DeferringFuture(self)
        made.append(self)

    def cancel(self) -> None:
        self.asked += 1


@pytest.fixture(autouse=True)
def _forget() -> Any:
    made.clear()
    yield
    made.clear()


def waiting(around: Callable[[Awaitable[Any]], Awaitable[Any]]) -> SteppedRun:
    """Return a run whose code awaits `around(a slow command)`."""

    @workflow
    async def waits() -> str:
        try:
            return f"got {await around(Slow().future)}"
        except TimeoutError:
            return "too late"
        except asyncio.CancelledError:
            return "cancelled"

    return SteppedRun(waits).start()


def proceed(run: SteppedRun) -> None:
    """Let the code take what the test has just resolved."""
    run.signal(go)


async def plainly(awaited: Awaitable[Any]) -> Any:
    return await awaited


async def in_group(awaited: Awaitable[Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plainly(awaited))
    return task.result()


async def gathered(awaited: Awaitable[Any]) -> Any:
    (only,) = await asyncio.gather(awaited)
    return only


AROUND = [plainly, in_group, gathered]


@pytest.mark.parametrize("around", AROUND)
async def test_the_waiter_goes_on_waiting_until_the_command_has_ended(around: Any) -> None:
    """The request is made once; `CancelledError` comes when the command says that it ended so."""
    run = waiting(around)
    run.cancel()
    assert (made[0].asked, run.status) == (1, "running")
    made[0].future.end_cancelled()
    proceed(run)
    assert run.result() == "cancelled"


async def test_a_result_that_comes_all_the_same_is_the_result() -> None:
    """As when a task that is awaited swallows its cancellation."""
    run = waiting(plainly)
    run.cancel()
    made[0].future.set_result(7)
    proceed(run)
    assert run.result() == "got 7"


@pytest.mark.parametrize("around", [in_group, gathered])
async def test_a_group_that_was_cancelled_ends_so_whatever_its_members_did(around: Any) -> None:
    """That is how asyncio has it: the result of a member does not undo the cancellation of `gather` or a `TaskGroup`."""
    run = waiting(around)
    run.cancel()
    made[0].future.set_result(7)
    proceed(run)
    assert run.result() == "cancelled"


async def test_a_second_cancellation_of_the_waiter_asks_for_nothing_more() -> None:
    """It is still being carried out."""

    @workflow
    async def waits() -> str:
        async def wait() -> Any:
            return await Slow().future

        task = asyncio.create_task(wait())
        await sleep(1)
        assert [task.cancel(), task.cancel()] == [True, True]
        await asyncio.wait({task})
        return f"cancelled: {task.cancelled()}"

    run = SteppedRun(waits).start()
    run.fire_next()
    assert made[0].asked == 1
    made[0].future.end_cancelled()
    proceed(run)
    assert run.result() == "cancelled: True"


async def test_the_message_of_the_first_cancellation_arrives() -> None:
    """`task.cancel("why")` is what the code reads."""

    @workflow
    async def waits() -> str:
        future = Slow().future
        future.cancel("why")
        future.cancel("other")
        try:
            await future
        except asyncio.CancelledError as error:
            return str(error)
        return ""

    run = SteppedRun(waits).start()
    made[0].future.end_cancelled()
    proceed(run)
    assert run.result() == "why"


async def test_a_shield_keeps_the_cancellation_from_the_command() -> None:
    """Nothing is asked for, and the waiter ends at once."""
    run = waiting(asyncio.shield)
    run.cancel()
    assert (made[0].asked, run.result()) == (0, "cancelled")


def timed(awaited: Awaitable[Any]) -> Awaitable[Any]:
    return asyncio.wait_for(awaited, 5)


async def in_timeout(awaited: Awaitable[Any]) -> Any:
    async with asyncio.timeout(5):
        return await awaited


@pytest.mark.parametrize("around", [timed, in_timeout])
async def test_a_timeout_is_raised_once_the_command_has_ended(around: Any) -> None:
    """It asks for the cancellation, and is late by as long as that takes."""
    run = waiting(around)
    run.fire_next()
    assert (made[0].asked, run.status) == (1, "running")
    made[0].future.end_cancelled()
    proceed(run)
    assert run.result() == "too late"


@pytest.mark.parametrize("around", [timed, in_timeout])
async def test_a_result_after_the_timeout_is_the_result(around: Any) -> None:
    """`wait_for` and `timeout` let a result pass that comes while they wait for the end."""
    run = waiting(around)
    run.fire_next()
    made[0].future.set_result(3)
    proceed(run)
    assert run.result() == "got 3"


async def test_one_that_is_done_cannot_be_cancelled() -> None:
    """As with any future."""

    @workflow
    async def waits() -> str:
        future = Slow().future
        future.set_result(1)
        return f"{future.cancel()}, {await future}"

    run = SteppedRun(waits).start()
    assert (run.result(), made[0].asked) == ("False, 1", 0)


async def test_a_run_that_is_dropped_waits_for_nothing() -> None:
    """Its code ends when it is disposed of, without another request."""
    run = waiting(plainly)
    run.cancel()
    run.execution.dispose()
    assert made[0].asked == 1
