"""Children that continue as new, and parents that do: the child stays one, a parent's next run has none of the children before it."""

import pytest

from durable.author import Signal, continue_as_new, info, proxy, start_child, workflow
from durable.testing import assert_replays
from tests.engine.env import engines

word = Signal("word", str)
go = Signal("go")


@workflow
async def counts_down(n: int) -> str:
    if n:
        continue_as_new(n - 1)
    parent = info().parent
    return f"done, child of {parent.workflow_id if parent is not None else None}"


@workflow
async def hears_twice(heard: list[str]) -> list[str]:
    heard = [*heard, await word.receive()]
    if len(heard) < 2:
        continue_as_new(heard)
    return heard


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_parent_gets_the_result_of_the_last_run(partitions: int, cache: int | None) -> None:
    """What comes between is nothing to it; each run knows its parent."""

    @workflow
    async def waits() -> str:
        return await proxy(counts_down, id="kid")(3)

    async with engines(partitions=partitions) as env:
        await env.begin([waits, counts_down], cache_runs=cache)
        handle = await env.client.start(waits, id="p")()
        assert await env.drive(handle.result()) == "done, child of p"
        assert (await env.tags("p")).count("ChildCompleted") == 1
        assert len(await env.client.list(workflow=counts_down)) == 4
        assert_replays(waits, await handle.history())


async def test_a_handle_reaches_the_present_run() -> None:
    """Signals before and after the child has continued as new."""

    @workflow
    async def talks() -> list[str]:
        child = await start_child(hears_twice, id="kid")([])
        await child.signal(word, "one")
        await go.receive()
        await child.signal(word, "two")
        return await child

    async with engines(partitions=3) as env:
        await env.begin([talks, hears_twice])
        handle = await env.client.start(talks, id="p")()
        await env.advance(1)
        assert len(await env.client.list(workflow=hears_twice)) == 2
        await handle.signal(go)
        assert await env.drive(handle.result()) == ["one", "two"]


@pytest.mark.parametrize(("policy", "status"), [("terminate", "terminated"), ("cancel", "cancelled")])
async def test_the_close_of_the_parent_reaches_the_present_run(policy: str, status: str) -> None:
    """And so does its end as it continues as new: the next run starts without the children of the one before."""

    @workflow
    async def goes_on(again: bool) -> str:
        child = await start_child(hears_twice, parent_close=policy)([])  # type: ignore[arg-type]
        await child.signal(word, "one")
        await go.receive()
        if again:
            continue_as_new(False)
        return child.workflow_id

    async with engines() as env:
        await env.begin([goes_on, hears_twice])
        handle = await env.client.start(goes_on, id="p")(True)
        for _ in range(2):
            await env.advance(1)
            await env.client.handle("p").signal(go)
        await env.drive(handle.result())
        await env.advance(1)
        runs = await env.client.list(workflow=hears_twice)
        assert sorted(run.status for run in runs) == sorted(["continued_as_new"] * 2 + [status] * 2)
        assert len({run.workflow_id for run in runs}) == 2
        assert (await env.store.inspect.counts())["outgoing"] == 0
