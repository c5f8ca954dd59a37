"""Activities run on the loop, in threads and in processes, and know who they are."""

import asyncio
import os
import threading
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable import activity, activity_info, proxy, workflow
from durable.errors import InvalidCallError
from tests.worker.cpu import halve, pid_of_child
from tests.worker.harness import serving

language: ContextVar[str] = ContextVar("language", default="none")


async def test_an_async_activity_runs_on_the_loop() -> None:
    """In the thread of the worker, as a task of its own."""

    @activity
    async def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    @workflow
    async def ask() -> bool:
        return await where()

    async with serving(workflows=[ask], activities=[where]) as client:
        assert await client.execute(ask)()


async def test_a_plain_activity_runs_in_a_thread_with_the_context_of_the_worker() -> None:
    """It may block, and sees the context variables of whoever started the worker."""

    @activity
    def where() -> list[Any]:
        found = [threading.current_thread() is threading.main_thread(), language.get()]
        language.set("changed")  # is gone with the activity
        return found

    @workflow
    async def ask() -> list[Any]:
        return [*await where(), *await where()]

    language.set("de")
    async with serving(workflows=[ask], activities=[where], max_threads=1) as client:
        assert await client.execute(ask)() == [False, "de", False, "de"]


async def test_a_cpu_bound_activity_runs_in_another_process() -> None:
    """Not in the worker's own; a child is started when it is needed."""

    @workflow
    async def ask() -> list[int]:
        return [await pid_of_child(), await pid_of_child(), await halve(42)]

    async with serving(workflows=[ask], activities=[pid_of_child, halve], max_processes=1) as client:
        first, second, half = await client.execute(ask)()
    assert os.getpid() not in (first, second)
    assert half == 21


async def test_an_activity_knows_its_attempt() -> None:
    """Who called it, which try this is, its limits, and a key for the outside world that stays the same."""
    seen: list[Any] = []

    @activity(timeout="1 min", heartbeat_timeout="30 s")
    async def look() -> None:
        seen.append(activity_info())
        if activity_info().attempt == 1:
            raise RuntimeError("once more")

    @workflow
    async def ask() -> None:
        await look()

    async with serving(workflows=[ask], activities=[look]) as client:
        handle = await client.start(ask, id="w-1")()
        await handle.result()
    first, second = seen
    assert (first.activity, first.workflow, first.workflow_id, first.run_id) == ("look", "ask", "w-1", handle.run_id)
    assert (first.attempt, second.attempt, first.delivery, first.queue) == (1, 2, 1, "default")
    assert first.idempotency_key == second.idempotency_key
    assert (first.timeout, first.heartbeat_timeout) == (timedelta(minutes=1), timedelta(seconds=30))
    assert first.scheduled_at == second.scheduled_at <= first.started_at <= second.started_at <= datetime.now(UTC)
    assert first.cancelled is False


async def test_activity_info_outside_of_a_worker_is_refused() -> None:
    """A plain call has no attempt, and saying so beats inventing one."""
    with pytest.raises(InvalidCallError, match="only in an activity"):
        activity_info()


@pytest.mark.parametrize("mode", ["async", "thread"])
async def test_no_more_run_at_once_than_there_are_slots(mode: str) -> None:
    """The bound holds for tasks of this process's engine and for claimed ones alike."""
    lock, running, peak = threading.Lock(), 0, 0
    release = threading.Event()

    def enter() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
            if running == 3:
                release.set()

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    @activity(name="work")
    async def work_async() -> None:
        enter()
        for _ in range(20):
            await asyncio.sleep(0)
        leave()

    @activity(name="work")
    def work_in_thread() -> None:
        enter()
        release.wait(5)
        leave()

    @workflow
    async def many() -> None:
        await asyncio.gather(*(proxy("work")() for _ in range(12)))

    chosen = work_async if mode == "async" else work_in_thread
    limits = {"max_concurrent_activities": 3} if mode == "async" else {"max_threads": 3}
    async with serving(workflows=[many], activities=[chosen], **limits) as client:
        await client.execute(many)()
    assert (peak, running) == (3, 0)


async def test_a_worker_of_activities_serves_the_workflows_of_another() -> None:
    """By their queue; no engine runs there."""
    from durable import Client, Worker

    @activity(queue="warehouse")
    async def ship() -> str:
        return activity_info().queue

    @workflow
    async def order() -> str:
        return await ship()

    async with (
        Client.connect("memory:") as client,
        Worker(client, workflows=[order]),
        Worker(client, activities=[ship], queue="warehouse") as warehouse,
    ):
        assert await client.execute(order)() == "warehouse"
        assert warehouse._life is not None
        assert warehouse._life._engines.named() == []


async def test_methods_of_an_instance_share_its_state() -> None:
    """An instance with decorated methods is registered as it is."""

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        @activity
        async def add(self, number: int) -> int:
            self.count += number
            return self.count

    @workflow
    async def total() -> int:
        counter = proxy(Counter)
        await counter.add(2)
        return int(await counter.add(3))

    counter = Counter()
    async with serving(workflows=[total], activities=[counter]) as client:
        assert await client.execute(total)() == 5
    assert counter.count == 5
