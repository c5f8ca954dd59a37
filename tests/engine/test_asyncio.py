"""asyncio in workflow code: groups, races, timeouts and locks around activities, and the same again on replay."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable.author import Signal, activity, sleep, workflow
from durable.errors import NonDeterminismError
from tests.engine.harness import SteppedRun

go = Signal("go", int)


@activity
async def work(n: int) -> int:
    return n


WORLD: dict[str, Callable[..., Any]] = {"work": lambda n: n * 10}


async def test_gather_keeps_its_order_whatever_comes_first() -> None:
    """Results stand in the order of the calls."""

    @workflow
    async def gathers() -> list[int]:
        return await asyncio.gather(*[work(n) for n in range(4)])

    run = SteppedRun(gathers).start()
    for command in (3, 1, 4, 2):
        run.complete(command, command)
        run.reload()
    assert run.result() == [1, 2, 3, 4]


async def test_as_completed_yields_by_arrival() -> None:
    """The order of the history, on every replay."""

    @workflow
    async def races() -> list[int]:
        return [await each for each in asyncio.as_completed([work(n) for n in range(3)])]

    run = SteppedRun(races).start()
    for command in (2, 3, 1):
        run.complete(command, command)
        run.reload()
    assert run.result() == [2, 3, 1]


async def test_wait_returns_the_first_and_the_rest() -> None:
    """`asyncio.wait` over tasks; its sets iterate in one order, the same on each replay."""
    orders: list[list[str]] = []

    @workflow
    async def waits() -> list[Any]:
        tasks = {asyncio.create_task(work(n), name=f"t{n}") for n in range(5)}  # type: ignore[arg-type]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = [await task for task in done]
        for task in pending:
            task.cancel()
        orders.append([task.get_name() for task in pending])
        return first

    run = SteppedRun(waits).start()
    run.complete(3, 30)
    assert run.result() == [30]
    assert run.waiting() == []
    assert run.reload().status == "completed"
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == ["t0", "t1", "t3", "t4"]


async def test_a_task_group_cancels_the_others_when_one_fails() -> None:
    """The tasks of the activities that are given up are taken back."""

    @workflow
    async def grouped() -> str:
        told = "all fine"
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(3):
                    group.create_task(work(n))  # type: ignore[arg-type]
        except* Exception as caught:
            told = f"{len(caught.exceptions)} failed"
        return told

    run = SteppedRun(grouped).start()
    run.fail(2, TypeError("bug"))
    assert run.result() == "1 failed"
    assert run.waiting() == []
    assert run.reload().status == "completed"


async def test_a_task_group_returns_all_results() -> None:
    """The plain case."""

    @workflow
    async def grouped() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(n)) for n in range(3)]  # type: ignore[arg-type]
        return sum(task.result() for task in tasks)

    assert SteppedRun(grouped).start().drive(WORLD).result() == 30


@pytest.mark.parametrize("style", ["timeout", "wait_for", "timeout_at"])
async def test_a_timeout_around_an_activity_gives_it_up(style: str) -> None:
    """A durable timer beside the activity; the one that loses is taken back."""

    @workflow
    async def bounded() -> str:
        try:
            if style == "timeout":
                async with asyncio.timeout(30):
                    return f"got {await work(1)}"
            if style == "timeout_at":
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + 30):
                    return f"got {await work(1)}"
            return f"got {await asyncio.wait_for(work(1), 30)}"
        except TimeoutError:
            return "too late"

    late = SteppedRun(bounded).start()
    assert late.dues[f"run-1/{late.timers()[0]}/timer"][1] == late.now_ms + 30_000
    late.reload()
    late.fire_next()
    assert late.result() == "too late"
    assert late.waiting() == []
    early = SteppedRun(bounded).start()
    early.reload()
    early.complete(next(t.id for t in early.tasks.values()) if early.tasks else 1, 5)
    assert early.result() == "got 5"
    assert early.dues == {}
    assert early.reload().status == "completed"


async def test_create_task_takes_an_activity_call() -> None:
    """A call gives a future at once; `create_task` must take it as it takes a coroutine."""

    @workflow
    async def tasks() -> list[int]:
        a: Awaitable[int] = asyncio.create_task(work(1))  # type: ignore[arg-type]
        b: Awaitable[int] = asyncio.ensure_future(work(2))
        return [await a, await b]

    assert SteppedRun(tasks).start().drive(WORLD).result() == [10, 20]


async def test_locks_queues_and_events_work_as_in_asyncio() -> None:
    """A pool of workers over a queue, with a lock and a semaphore."""

    @workflow
    async def pool() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        lock, limit, done = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Event()
        results: list[int] = []
        for n in range(6):
            queue.put_nowait(n)

        async def worker() -> None:
            while not queue.empty():
                n = queue.get_nowait()
                async with limit:
                    value = await work(n)
                async with lock:
                    results.append(value)
                    if len(results) == 6:
                        done.set()

        crew = [asyncio.create_task(worker()) for _ in range(3)]
        await done.wait()
        await asyncio.gather(*crew)
        return results

    run = SteppedRun(pool).start()
    assert len(run.tasks) == 2  # the semaphore
    while run.status == "running":
        command = max(t.id for t in run.tasks.values())
        run.complete(command, command)
        run.reload()
    assert sorted(run.result()) == [1, 2, 3, 4, 5, 6]


async def test_a_loop_of_timers_and_signals_replays() -> None:
    """The usual shape of a subscription: wait for a signal or for the month to end."""

    @workflow
    async def subscription() -> int:
        months = 0
        while True:
            value = await go.receive(timeout="30 days", default=None)
            if value is None:
                months += await work(1)
            elif value == 0:
                return months

    run = SteppedRun(subscription).start()
    for _ in range(3):
        run.fire_next()
        run.complete(next(t.id for t in run.tasks.values()), 1)
        run.reload()
    run.signal(go, 5)
    run.reload()
    run.signal(go, 0)
    assert run.result() == 3
    assert run.dues == {}


@pytest.mark.parametrize("what", ["to_thread", "open_connection", "subprocess", "executor"])
async def test_what_cannot_be_replayed_makes_the_run_stuck(what: str) -> None:
    """Sockets, threads, processes: refused with what to do instead."""

    @workflow
    async def outside() -> None:
        loop = asyncio.get_running_loop()
        if what == "to_thread":
            await asyncio.to_thread(print)
        elif what == "open_connection":
            await asyncio.open_connection("localhost", 1)
        elif what == "subprocess":
            await asyncio.create_subprocess_exec("true")
        else:
            await loop.run_in_executor(None, print)

    with pytest.raises(NonDeterminismError, match="activity"):
        SteppedRun(outside).start()


async def test_a_task_that_nobody_awaits_is_dropped_with_the_run() -> None:
    """The run closes when its code returns; what is left behind has no effect."""

    @workflow
    async def leaves() -> str:
        async def forever() -> None:
            while True:
                await sleep(1)

        asyncio.get_running_loop().create_task(forever())
        await sleep(0.5)
        return "done"

    run = SteppedRun(leaves).start()
    run.fire_next()
    assert run.result() == "done"
    assert run.dues == {}
    assert run.reload().status == "completed"
