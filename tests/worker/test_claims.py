"""Claims and outcomes on their way between the store and a worker that runs activities only."""

import asyncio
import logging

import pytest

from durable import Client, Worker, activity, proxy, workflow
from tests.worker.faulty import FaultyStore
from tests.worker.harness import history_types, until, until_async


@workflow
async def ask() -> str:
    return str(await proxy("answer", queue="far")())


async def test_an_outcome_whose_answer_was_lost_is_recorded_once() -> None:
    """The repeat finds the claim gone, and is dropped."""

    @activity
    async def answer() -> str:
        return "42"

    store = FaultyStore()
    client = Client(store)
    async with Worker(client, workflows=[ask]), Worker(client, activities=[answer], queue="far"):
        store.lose["complete"] = 1
        handle = await client.start(ask, id="a")()
        assert await handle.result(timeout=10) == "42"
        await until(lambda: store.calls["complete"] == 2)
    assert (await history_types(client, "a")).count("ActivityCompleted") == 1


async def test_an_outcome_waits_for_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again with a growing pause; the activity does not run again. Its slot is kept meanwhile."""
    ran = 0

    @activity
    async def answer() -> str:
        nonlocal ran
        ran += 1
        return "42"

    store = FaultyStore()
    client = Client(store)
    async with Worker(client, workflows=[ask]), Worker(client, activities=[answer], queue="far"):
        store.refuse["complete"] = 3
        with caplog.at_level(logging.WARNING, "durable.worker"):
            assert await client.execute(ask)() == "42"
    assert ran == 1
    assert caplog.text.count("the outcome of answer could not be written") == 3


async def test_claiming_survives_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """A failed claim is logged and tried again after a pause, not in a hot loop."""

    @activity
    async def answer() -> str:
        return "42"

    store = FaultyStore()
    client = Client(store)
    store.refuse["claim"] = 3
    with caplog.at_level(logging.WARNING, "durable.worker"):
        async with Worker(client, workflows=[ask]), Worker(client, activities=[answer], queue="far"):
            assert await client.execute(ask)() == "42"
    assert caplog.text.count("no tasks could be claimed from queue far") == 3


async def test_a_worker_claims_no_more_than_it_can_run() -> None:
    """What it has no slot for stays free for others."""
    started, release = asyncio.Semaphore(0), asyncio.Event()

    @activity
    async def answer() -> str:
        started.release()
        await release.wait()
        return "42"

    @workflow
    async def ask_often() -> int:
        return len(await asyncio.gather(*(proxy("answer", queue="far")() for _ in range(5))))

    async with (
        Client.connect("memory:") as client,
        Worker(client, workflows=[ask_often]),
        Worker(client, activities=[answer], queue="far", max_concurrent_activities=2),
    ):
        handle = await client.start(ask_often)()
        await started.acquire()
        await started.acquire()
        free = sorted(task.claimed_by is None for task in await client.store.inspect.tasks())
        assert free == [False] * 2 + [True] * 3
        release.set()
        assert await handle.result(timeout=10) == 5


async def test_a_damaged_task_is_held_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """It neither stops the worker nor is it lost."""
    from durable.stores import Commit, Task

    @activity
    async def answer() -> str:
        return "42"

    async with Client.connect("memory:?partitions=1") as client:
        store = client.store
        await store.begin_session("s", "test", b"", 60_000)
        (lease,) = await store.acquire("s", "default", [0])
        await store.commit([Commit(lease, "c", tasks=[Task("t-1", "far", "answer", "default", "w", b"no task")])])
        await store.end_session("s")
        with caplog.at_level(logging.ERROR, "durable.worker"):
            async with (
                Worker(client, workflows=[ask]),
                Worker(client, activities=[answer], queue="far", max_concurrent_activities=1),
            ):
                await until(lambda: "task t-1" in caplog.text)
                assert await client.execute(ask)() == "42"
        (task,) = await store.inspect.tasks()
        assert (task.task.id, task.claimed_by, task.deliveries) == ("t-1", None, 0)


async def test_tasks_that_nobody_can_run_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """They wait, since a worker that knows them may come; one that another live worker knows is no news."""

    @activity
    async def other() -> None: ...

    @activity
    async def answer() -> str:
        return "42"

    @workflow
    async def ask_two() -> None:
        await asyncio.gather(proxy("answer", queue="far")(), proxy("forgotten", queue="far")())

    async with Client.connect("memory:") as client, Worker(client, workflows=[ask_two]):
        await client.start(ask_two)()
        await until_async(lambda: _has_tasks(client, "far", 2))
        with caplog.at_level(logging.WARNING, "durable.worker"):
            async with (
                Worker(client, activities=[answer], queue="far"),
                Worker(client, activities=[other], queue="far"),
            ):
                await until(lambda: "forgotten" in caplog.text)
    warnings = [record.getMessage() for record in caplog.records]
    assert all("activity forgotten, which no running worker knows" in text for text in warnings)
    assert 1 <= len(warnings) <= 2  # one for each of the two workers


async def _has_tasks(client: Client, queue: str, count: int) -> bool:
    return len(await client.store.inspect.tasks(queue=queue)) >= count
