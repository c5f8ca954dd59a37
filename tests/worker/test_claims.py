"""Claims and outcomes on their way between the store and a worker that runs activities only."""

import asyncio
import logging

import pytest

from durable import Client, activity, activity_info, proxy, workflow
from durable._log import ActivityEnded
from durable.stores import Commit, Task
from durable.worker._delivery import Delivery
from tests.virtual import clock_here, in_virtual_time
from tests.worker.faulty import FaultyStore
from tests.worker.harness import connected, history_types, until, until_async, working


@workflow
async def ask() -> str:
    return str(await proxy("answer", queue="far")())


@in_virtual_time
async def test_an_outcome_whose_answer_was_lost_is_recorded_once() -> None:
    """The repeat finds the claim gone, and is dropped."""

    @activity
    async def answer() -> str:
        return "42"

    store = FaultyStore(clock_here())
    client = Client(store)
    async with working(client, workflows=[ask]), working(client, activities=[answer], queue="far"):
        store.lose["complete"] = 1
        handle = await client.start(ask, id="a")()
        assert await handle.result(timeout=10) == "42"
        await until(lambda: store.calls["complete"] == 2)
    assert (await history_types(client, "a")).count("ActivityCompleted") == 1


@in_virtual_time
async def test_an_outcome_waits_for_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again with a growing pause; the activity does not run again. Its slot is kept meanwhile."""
    ran = 0

    @activity
    async def answer() -> str:
        nonlocal ran
        ran += 1
        return "42"

    store = FaultyStore(clock_here())
    client = Client(store)
    async with working(client, workflows=[ask]), working(client, activities=[answer], queue="far"):
        store.refuse["complete"] = 3
        with caplog.at_level(logging.WARNING, "durable.worker"):
            assert await client.execute(ask)() == "42"
    assert ran == 1
    assert caplog.text.count("the outcome of answer could not be written") == 3


@in_virtual_time
async def test_claiming_survives_a_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """A failed claim is logged and tried again after a pause, not in a hot loop, and the log is not filled by it."""

    @activity
    async def answer() -> str:
        return "42"

    store = FaultyStore(clock_here())
    client = Client(store)
    store.refuse["claim"] = 7
    with caplog.at_level(logging.WARNING, "durable.worker"):
        async with working(client, workflows=[ask]), working(client, activities=[answer], queue="far"):
            assert await client.execute(ask)() == "42"
    told = [text for text in caplog.messages if "no tasks could be claimed from queue far" in text]
    assert [text.partition(" next try")[0] for text in told[:-1]] == [
        "no tasks could be claimed from queue far,",
        "no tasks could be claimed from queue far (2 times in a row),",
        "no tasks could be claimed from queue far (4 times in a row),",
    ]
    assert told[-1] == "over: no tasks could be claimed from queue far, after 7 tries in vain"


@in_virtual_time
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
        connected("memory:") as client,
        working(client, workflows=[ask_often]),
        working(client, activities=[answer], queue="far", max_concurrent_activities=2),
    ):
        handle = await client.start(ask_often)()
        await started.acquire()
        await started.acquire()
        free = sorted(task.claimed_by is None for task in await client.store.inspect.tasks())
        assert free == [False] * 2 + [True] * 3
        release.set()
        assert await handle.result(timeout=10) == 5


@in_virtual_time
async def test_a_damaged_task_is_held_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """It neither stops the worker nor is it lost."""

    @activity
    async def answer() -> str:
        return "42"

    async with connected("memory:?partitions=1") as client:
        store = client.store
        await store.begin_session("s", "test", b"", 60_000)
        (lease,) = await store.acquire("s", "default", [0])
        await store.commit([Commit(lease, "c", tasks=[Task("t-1", "far", "answer", "default", "w", b"no task")])])
        await store.end_session("s")
        with caplog.at_level(logging.ERROR, "durable.worker"):
            async with (
                working(client, workflows=[ask]),
                working(client, activities=[answer], queue="far", max_concurrent_activities=1),
            ):
                await until(lambda: "task t-1" in caplog.text)
                assert await client.execute(ask)() == "42"
        (task,) = await store.inspect.tasks()
        assert (task.task.id, task.claimed_by, task.deliveries) == ("t-1", None, 0)


@in_virtual_time
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

    async with connected("memory:") as client, working(client, workflows=[ask_two]):
        await client.start(ask_two)()
        await until_async(lambda: _has_tasks(client, "far", 2))
        with caplog.at_level(logging.WARNING, "durable.worker"):
            async with (
                working(client, activities=[answer], queue="far"),
                working(client, activities=[other], queue="far"),
            ):
                await until(lambda: "forgotten" in caplog.text)
    warnings = [record.getMessage() for record in caplog.records]
    assert all("activity forgotten, which no running worker knows (they know: answer" in text for text in warnings)
    assert 1 <= len(warnings) <= 2  # one for each of the two workers


async def _has_tasks(client: Client, queue: str, count: int) -> bool:
    return len(await client.store.inspect.tasks(queue=queue)) >= count


@in_virtual_time
async def test_a_claim_that_the_worker_does_not_know_of_is_handed_back(caplog: pytest.LogCaptureFixture) -> None:
    """The store may have fallen back to when the task was this worker's: while it lives, nobody else could run it."""

    @activity
    async def answer() -> int:
        return activity_info().delivery

    async with connected("memory:") as client, working(client, workflows=[ask]):
        handle = await client.start(ask)()
        await until_async(lambda: _has_tasks(client, "far", 1))
        worker = working(client, activities=[answer], queue="far", lease_ttl="5 s")
        with caplog.at_level(logging.WARNING, "durable.worker"):
            life = worker._new_life()
            await client.store.begin_session(life.session, "activities/far", b"", 60_000)
            assert len(await client.store.claim(life.session, "far", ["answer"], 10)) == 1  # and nobody is told
            await life.begin()
            try:
                assert await handle.result(timeout="1 min") == "1"
            finally:
                await life.end()
    assert "1 tasks are claimed by this worker without its knowledge" in caplog.text


@in_virtual_time
async def test_an_outcome_is_not_reported_for_a_task_that_was_given_out_anew() -> None:
    """Its id may come back for something else after the store fell back: what is still on its way is not the answer to that."""
    heard: list[str] = []
    async with connected("memory:?partitions=1") as client:
        real = client.store
        await real.begin_session("s", "test", b"", 60_000)
        (lease,) = await real.acquire("s", "default", [0])
        task = Task("r/1/1", "far", "answer", "default", "w", b"old")
        assert await real.commit([Commit(lease, "c-1", tasks=[task])]) == [None]
        (old,) = await real.claim("s", "far", ["answer"], 1)
        delivery = Delivery(real, "s")
        ended = ActivityEnded(run_id="r", id=1, attempt=1)
        delivery.deliver(old, ended, lambda: heard.append("done"))
        delivery.forget("r/1/1")
        assert await real.commit(
            [Commit(lease, "c-2", tasks=[Task("r/1/1", "far", "answer", "default", "w", b"new", "s")])]
        ) == [None]
        await until(lambda: heard)
        (left,) = await real.inspect.tasks()
        assert (left.task.data, left.claimed_by) == (b"new", "s")
        assert (await real.inspect.counts())["inbox"] == 0
