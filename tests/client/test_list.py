"""Finding runs, and the tasks that are parked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from durable import Client, Handle, Worker, activity, proxy, sleep, workflow
from durable._limits import TASK_DELIVERIES_MAX
from durable.errors import ActivityError
from durable.testing._clock import ManualClock
from tests.worker.harness import until_async


@workflow
async def short() -> None: ...


@workflow
async def long() -> None:
    await sleep("1 day")


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def client(clock: ManualClock) -> AsyncIterator[Client]:
    async with Client.connect("memory:", clock=clock) as connected:
        yield connected


async def _stuck(handle: Handle[Any]) -> str | None:
    return (await handle.describe()).stuck


async def ids(client: Client, **filters: Any) -> list[str]:
    return [run.workflow_id for run in await client.list(**filters)]


async def test_runs_are_listed_newest_first(client: Client, clock: ManualClock) -> None:
    """Across all partitions, up to the limit."""
    for number in range(10):
        await client.start(short, id=f"s-{number}")()
        clock.advance(1)
    assert await ids(client) == [f"s-{number}" for number in reversed(range(10))]
    assert await ids(client, limit=3) == ["s-9", "s-8", "s-7"]


async def test_filters_narrow_what_is_listed_and_counted(client: Client, clock: ManualClock) -> None:
    """All that are given hold together."""
    await client.start(short, id="a-1")()
    clock.advance(10)
    middle = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    clock.advance(10)
    await client.start(long, id="a-2")()
    await client.start(short, id="b-1", queue="other")()
    await client.handle("a-2").terminate()
    async with Worker(client, workflows=[short, long], renew_in_thread=False):
        assert await client.handle("a-1").result() is None
        with pytest.raises(Exception, match="terminated"):
            await client.handle("a-2").result()
    assert await ids(client, workflow=short) == ["b-1", "a-1"]
    assert await ids(client, workflow="long") == ["a-2"]
    assert await ids(client, status="running") == ["b-1"]
    assert await ids(client, status=["completed", "terminated"]) == ["a-2", "a-1"]
    assert await ids(client, id_prefix="a-") == ["a-2", "a-1"]
    assert await ids(client, started_after=middle) == ["b-1", "a-2"]
    assert await ids(client, started_before=middle) == ["a-1"]
    assert await ids(client, started_after=middle, workflow=short) == ["b-1"]
    assert await ids(client, stuck=True) == []
    assert await client.count() == {"running": 1, "completed": 1, "terminated": 1}
    assert await client.count(id_prefix="a-", stuck=False) == {"completed": 1, "terminated": 1}


async def test_a_stuck_run_says_why(client: Client) -> None:
    """Its workflow is not known to the worker that serves its queue."""
    handle = await client.start("unheard-of", id="u")()
    async with Worker(client, workflows=[short], renew_in_thread=False):
        await client.execute(short)()
        await until_async(lambda: _stuck(handle))
    (run,) = await client.list(stuck=True)
    assert run.status == "running"
    assert run.stuck is not None
    assert "unheard-of" in run.stuck


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"workflow": 3}, "workflow: expected a workflow or its name, got 3"),
        ({"id_prefix": 3}, "id_prefix: expected text, got 3"),
        ({"started_before": "yesterday"}, "started_before: expected a datetime with a time zone, got 'yesterday'"),
        ({"stuck": "yes"}, "stuck: expected True, False or None, got 'yes'"),
        ({"status": "done"}, "unknown status 'done'; expected one of running"),
        ({"started_after": datetime(2026, 1, 1)}, "started_after: expected a time with a time zone"),
        ({"limit": 0}, "limit"),
    ],
)
async def test_a_wrong_filter_is_refused(client: Client, filters: dict[str, Any], says: str) -> None:
    """Naming it."""
    with pytest.raises((ValueError, TypeError), match=says):
        await client.list(**filters)


@activity
async def ship(order: str, *, fast: bool = False) -> str:
    return f"{order} {'fast' if fast else 'slow'}"


@workflow
async def order() -> str:
    try:
        return str(await proxy(ship, queue="warehouse")("o-1", fast=True))
    except ActivityError as error:
        return f"gave up: {error.__cause__}"


async def park(client: Client) -> str:
    """Claim the task of a started order and vanish, until it is parked; return its id."""
    store = client.store
    tasks = await until_async(lambda: store.inspect.tasks(queue="warehouse"))
    for number in range(TASK_DELIVERIES_MAX + 1):
        await store.begin_session(f"s-{number}", "doomed", b"", 1_000)
        await store.claim(f"s-{number}", "warehouse", ["ship"], 1)
        await store.end_session(f"s-{number}")
    return tasks[0].task.id


async def test_parked_tasks_are_shown_and_released(client: Client, clock: ManualClock) -> None:
    """Then they are as new, and a worker takes them up."""
    async with Worker(client, workflows=[order], renew_in_thread=False):
        handle = await client.start(order, id="o-1")()
        task_id = await park(client)
        (task,) = await client.parked.list()
        assert (task.id, task.workflow_id, task.run_id) == (task_id, "o-1", handle.run_id)
        assert (task.workflow, task.activity, task.queue, task.attempt) == ("order", "ship", "warehouse", 1)
        assert (task.deliveries, task.args, task.kwargs) == (TASK_DELIVERIES_MAX, ("o-1",), {"fast": True})
        assert task.scheduled_at == datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        assert "claimed 5 times" in task.parked
        assert await client.parked.inspect(task_id) == task
        assert await client.parked.inspect("unknown") is None
        assert await client.parked.list(queue="other") == []
        assert await client.parked.list(workflow_id="o-1") == [task]
        assert await client.parked.release(task_id, "unknown") == 1
        assert await client.parked.release(task_id) == 0
        async with Worker(client, activities=[ship], queue="warehouse", renew_in_thread=False):
            assert await handle.result() == "o-1 fast"


async def test_a_discarded_task_fails_its_activity_for_good(client: Client) -> None:
    """The run hears that it was given up, and is not stuck any more."""
    async with Worker(client, workflows=[order], renew_in_thread=False):
        handle = await client.start(order, id="o-1")()
        task_id = await park(client)
        assert await client.parked.discard(task_id, task_id, "unknown") == 1
        assert "was given up by hand" in str(await handle.result())
    assert await client.parked.list() == []
