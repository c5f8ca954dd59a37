"""Updates and runs that continue as new: nothing is lost between two runs, and nothing is done twice."""

import asyncio

import pytest

from durable.author import Query, Signal, Update, activity, continue_as_new, workflow
from durable.history import UpdateAccepted
from tests.engine.env import Engines, engines
from tests.engine.test_updates_lost import ClosingStore

add = Update("add", int, int)
late = Update("late", int, int)
go = Signal("go", str)
total = Query("total", int)


@activity
async def work(n: int) -> int:
    return n


@workflow
async def entity(state: int, generation: int) -> int:
    @total.handler
    def tell() -> int:
        return state

    @add.handler
    async def on_add(n: int) -> int:
        nonlocal state
        state += await work(n)
        return state

    if generation:

        @late.handler
        def on_late(n: int) -> int:
            return -n

    if await go.receive() == "end":
        return state
    return continue_as_new(state, generation + 1)


@workflow
async def relay(generation: int) -> int:
    """Continues as new with its activity, whatever else comes; the second run waits."""
    seen = 0

    @add.handler
    def on_add(n: int) -> int:
        nonlocal seen
        seen += n
        return seen + 100 * generation

    if generation:
        await go.receive()
        return seen
    await work(1)
    return continue_as_new(1)


async def accepted(env: Engines, workflow_id: str) -> list[int]:
    """Return how many updates each run of an id accepted, oldest first."""
    found: list[int] = []
    run_id: str | None = (await env.client.handle(workflow_id).describe()).run_id
    while run_id is not None:
        handle = env.client.handle(workflow_id, run_id)
        found.append(sum(isinstance(each.event, UpdateAccepted) for each in await handle.history()))
        run_id = (await handle.describe()).continued_from
    return found[::-1]


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_a_repeat_is_known_by_the_next_runs(cache_runs: int | None) -> None:
    """The id of an update is carried on: a repeat gets the first one's result, whichever run did it."""
    async with engines(partitions=1) as env:
        await env.begin([entity], [work], cache_runs=cache_runs)
        handle = await env.client.start(entity, id="e")(0, 0)
        assert await env.drive(handle.update(add, 5, update_id="u-1")) == 5
        for _ in range(2):
            await handle.signal(go, "on")
            await env.settle()
            for target in (handle, env.client.handle("e")):
                assert await env.drive(target.update(add, 5, update_id="u-1")) == 5
        assert await env.drive(env.client.handle("e").update_handle("u-1", add).result()) == 5
        assert await env.drive(handle.query(total)) in (0, 5)
        await handle.signal(go, "end")
        assert await env.drive(handle.result()) == 5
        assert await accepted(env, "e") == [1, 0, 0]


async def test_a_handler_ends_before_its_run_continues_as_new() -> None:
    """The next run begins with what it left."""
    async with engines(partitions=1) as env:
        await env.begin([entity], [work])
        handle = await env.client.start(entity, id="e")(1, 0)
        sent = asyncio.create_task(handle.update(add, 5))
        await handle.signal(go, "on")
        assert await env.drive(sent) == 6
        await env.settle()
        await handle.signal(go, "end")
        assert await env.drive(handle.result()) == 6


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_an_update_without_a_handler_waits_for_the_next_run(cache_runs: int | None) -> None:
    """The run that continues as new never handles it; the next one does."""
    async with engines(partitions=1) as env:
        await env.begin([entity], [work], cache_runs=cache_runs)
        handle = await env.client.start(entity, id="e")(1, 0)
        sent = asyncio.create_task(handle.update(late, 5, timeout="1 hour"))
        await env.settle()
        assert await accepted(env, "e") == [0]
        await handle.signal(go, "on")
        assert await env.drive(sent) == -5
        assert await accepted(env, "e") == [0, 1]


@pytest.mark.parametrize("cache_runs", [None, 0])
@pytest.mark.parametrize("late", [False, True])
async def test_an_update_that_races_with_the_change_of_runs_is_carried_out_once(
    late: bool, cache_runs: int | None
) -> None:
    """Sent while the closing commit is on its way, or after it: by the run that is open then."""
    async with engines(partitions=1) as env:
        closing = ClosingStore(env, 2)
        await env.begin([relay], [work], store=closing.store, cache_runs=cache_runs)  # type: ignore[arg-type]
        handle = await env.client.start(relay, id="r")(0)
        await env.until(closing.reached.is_set)
        if late:
            closing.go_on.set_result(None)
            await env.settle()
            sent = asyncio.create_task(handle.update(add, 7, timeout="1 hour"))
        else:
            sent = asyncio.create_task(handle.update(add, 7, timeout="1 hour"))
            await env.settle()
            closing.go_on.set_result(None)
        answer = await env.drive(sent)
        assert answer == (107 if late else 7)
        assert await accepted(env, "r") == ([0, 1] if late else [1, 0])
        await env.client.handle("r").signal(go, "end")
        assert await env.drive(handle.result()) == (7 if late else 0)
