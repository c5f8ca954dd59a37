"""What has ended is gone with its last reference: the garbage collector, which stops every run of a worker, has nothing to do."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from durable import Signal, Update, _limits, activity, local, proxy, sleep, start_child, workflow
from durable._runtime.commands import Command
from durable._runtime.loop import DeterministicLoop
from durable._runtime.run import Run
from durable.errors import RunCancelledError, RunFailedError
from durable.testing import TestEnvironment
from durable.worker._attempt import Attempt

go = Signal("go", int)
grow = Update("grow", int, int)


@activity
async def double(number: int) -> int:
    return 2 * number


@activity
def plus_one(number: int) -> int:
    return number + 1


@activity(retry=None, raises=[KeyError])
async def fails() -> None:
    raise KeyError("no such thing")


@workflow
async def leaf(number: int) -> int:
    return await double(number)


@workflow
async def busy(number: int) -> int:
    """Uses what a run can hold on to: tasks, timers, signals, updates, children, local activities, errors."""
    total = 0

    @grow.handler
    async def _(by: int) -> int:
        nonlocal total
        total += await double(by)
        return total

    values = await asyncio.gather(double(number), proxy(plus_one)(number), local(double)(number))
    try:
        await fails()
    except KeyError:
        total += 1
    try:
        async with asyncio.timeout(5):
            await sleep("1 day")
    except TimeoutError:
        total += 1
    kid = await start_child(leaf)(number)
    total += await go.receive()
    return total + sum(values) + await kid


@workflow
async def ends_badly() -> None:
    task = asyncio.create_task(sleep("1 day"))
    try:
        await fails()
    finally:
        task.cancel()


@workflow
async def waits() -> None:
    await asyncio.gather(sleep("1 day"), go.receive())


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Objects go by themselves, or not at all."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left_over() -> Counter[str]:
    kinds = Run, DeterministicLoop, Command, Attempt
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, kinds))


@pytest.mark.skipif(
    _limits.CACHE_RUNS_MAX == 0, reason="a run that is dropped while a handler is under way is left to the collector"
)
@pytest.mark.usefixtures("no_collector")
async def test_runs_that_have_ended_leave_nothing_to_the_garbage_collector() -> None:
    async with TestEnvironment(workflows=[busy, leaf, ends_badly, waits], activities=[double, plus_one, fails]) as env:
        before = left_over()
        for number in range(3):
            handle = await env.client.start(busy, id=f"busy-{number}")(number)
            assert await handle.update(grow, 1) == 2
            await handle.signal(go, 1)
            assert await handle.result() == 3 + 2 + 1 + 7 * number, (
                "the update's 2, both errors, the signal, the values"
            )
            with pytest.raises(RunFailedError):
                await env.client.execute(ends_badly, id=f"bad-{number}")()
            waiting = await env.client.start(waits, id=f"waits-{number}")()
            await waiting.cancel()
            with pytest.raises(RunCancelledError):
                await waiting.result()
        assert left_over() == before
