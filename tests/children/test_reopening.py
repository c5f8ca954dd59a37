"""A failed parent that is reopened: its children were told to end as it failed, and it learns what has become of them."""

import asyncio

import pytest

from durable.author import Signal, sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunFailedError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines

go = Signal("go")
word = Signal("word", str)
broken = {"kid": True, "parent": True}


@workflow
async def hears() -> str:
    return await word.receive()


@workflow
async def brittle() -> str:
    await sleep(1)
    if broken["kid"]:
        raise ValueError("the child's bug")
    return "mended"


@pytest.fixture(autouse=True)
def _breaks() -> None:
    broken.update(kid=True, parent=True)


@workflow
async def stumbles(policy: str) -> str:
    """Fails at a signal while its child is open; after the reopening, it waits for the child."""
    child = await start_child(hears, id="kid", parent_close=policy)()  # type: ignore[arg-type]
    await go.receive()
    if broken["parent"]:
        raise ValueError("the parent's bug")
    try:
        return await child
    except ChildWorkflowError as error:
        return type(error.__cause__).__name__


async def failed(env: Engines, policy: str) -> None:
    """Start `stumbles`, and let it fail."""
    handle = await env.client.start(stumbles, id="p")(policy)
    await env.advance(1)
    await handle.signal(go)
    with pytest.raises(RunFailedError):
        await env.drive(handle.result())
    broken["parent"] = False


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("pause", [0, 5])
@pytest.mark.parametrize(
    ("policy", "told"), [("terminate", "RunTerminatedError"), ("cancel", "RunCancelledError"), ("abandon", "hello")]
)
async def test_a_reopened_parent_learns_what_became_of_its_child(
    policy: str, told: str, pause: int, cache: int | None
) -> None:
    """At once or later: the word of the child's end came while the parent was closed, or comes after it."""
    async with engines(partitions=3) as env:
        await env.begin([stumbles, hears], cache_runs=cache)
        await failed(env, policy)
        await env.advance(pause)
        handle = env.client.handle("p")
        await env.drive(handle.retry())
        await env.advance(1)
        if policy == "abandon":
            assert await env.status("p") == "running"
            await env.client.handle("kid").signal(word, "hello")
        assert await env.drive(handle.result()) == told
        assert_replays(stumbles, await handle.history())
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_an_abandoned_child_that_completed_meanwhile_gives_its_result() -> None:
    """Its parent was closed as it ended."""
    async with engines() as env:
        await env.begin([stumbles, hears])
        await failed(env, "abandon")
        await env.client.handle("kid").signal(word, "meanwhile")
        await env.advance(1)
        stranger = await env.client.start(hears, id="kid")()
        handle = env.client.handle("p")
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "meanwhile"
        assert (await stranger.describe()).status == "running"


async def test_a_parent_that_failed_by_its_child_asks_for_it_again() -> None:
    """The child is mended and reopened first, then the parent: that one goes on with the child's result."""

    @workflow
    async def trusts() -> str:
        return await start_and_wait()

    async def start_and_wait() -> str:
        child = await start_child(brittle, id="kid")()
        return await child

    async with engines() as env:
        await env.begin([trusts, brittle])
        handle = await env.client.start(trusts, id="p")()
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        await env.drive(handle.retry())
        with pytest.raises(RunFailedError):  # the child is as it was
            await env.drive(handle.result())
        broken["kid"] = False
        await env.drive(env.client.handle("kid").retry())
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "mended"
        assert (await env.tags("p")).count("ChildStartRequested") == 1
        assert_replays(trusts, await handle.history())


async def test_a_child_of_the_step_that_failed_is_started_anew() -> None:
    """Its first start was voided with the step; the child of that ends by itself, and is not taken for the new one."""

    @workflow
    async def hasty() -> str:
        child = start_child(hears, id=None)()
        if broken["parent"]:
            raise ValueError("the parent's bug")
        handle = await child
        await handle.signal(word, "to the new one")
        return await handle

    async with engines() as env:
        await env.begin([hasty, hears])
        handle = await env.client.start(hasty, id="p")()
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        broken["parent"] = False
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "to the new one"
        runs = list(await env.client.list(workflow="hears"))
        assert sorted(run.status for run in runs) == ["completed", "terminated"]
        assert len({run.workflow_id for run in runs}) == 2
        assert_replays(hasty, await handle.history())


async def test_a_start_that_was_not_relayed_yet_is_sent_again() -> None:
    """The run failed while the start was on its way: whatever became of it, the reopened run hears of a child."""

    @workflow
    async def fails_first() -> str:
        waiting = asyncio.ensure_future(start_child(hears, id="kid")())
        await asyncio.sleep(0)
        await go.receive()
        if broken["parent"]:
            raise ValueError("the parent's bug")
        try:
            return await (await waiting)
        except ChildWorkflowError as error:
            return type(error.__cause__).__name__

    async with engines(partitions=1) as env:
        await env.begin([fails_first, hears])
        handle = await env.client.start(fails_first, id="p")()
        await handle.signal(go)
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        broken["parent"] = False
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "RunTerminatedError"
        assert_replays(fails_first, await handle.history())
