"""Starts that meet a chain as it goes on, a family, or a fork of one."""

import pytest

from durable.author import Signal, Update, continue_as_new, sleep, start_child, workflow
from durable.errors import RequestFailedError, RunTimedOutError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines

go = Signal("go", int)
add = Update("add", int, int)


@workflow
async def sums(so_far: int) -> int:
    value = await go.receive()
    return so_far if value == 0 else continue_as_new(so_far + value)


@workflow
async def kid() -> str:
    await sleep(5)
    return "kid"


@workflow
async def family(word: str) -> str:
    @add.handler
    async def slow(n: int) -> int:
        await sleep("1 hour")
        return n

    said = await start_child(kid, id=f"{word}-kid")()
    return await said + word


async def nothing_is_left(env: Engines) -> None:
    await env.advance(1)
    counts = await env.store.inspect.counts()
    assert [counts[name] for name in ("inbox", "tasks", "dues", "outgoing")] == [0, 0, 0, 0]


@pytest.mark.parametrize("before", [True, False])
async def test_a_start_with_a_signal_meets_a_run_that_continues_as_new(before: bool) -> None:
    """It is one chain, which has each signal once, whether it comes before or after the change of runs."""
    async with engines() as env:
        first = await env.client.start(sums, id="s")(0)
        await first.signal(go, 1)
        if not before:
            await env.begin([sums])
            await env.settle()
        same = await env.client.start_with_signal(sums, go, 10, id="s", request_id="r")(0)
        if before:
            await env.begin([sums])
        await env.settle()
        await env.client.start_with_signal(sums, go, 10, id="s", request_id="r")(0)  # the answer was lost
        await same.signal(go, 0)
        assert await env.drive(first.result()) == 11
        assert_replays(sums, await first.history())
        await nothing_is_left(env)


async def test_a_run_is_terminated_for_another_with_its_children() -> None:
    """The new one starts children of its own."""
    async with engines() as env:
        await env.begin([family, kid])
        await env.client.start(family, id="f")("old")
        await env.advance(1)
        start = env.client.start(family, id="f", on_conflict="terminate_existing")
        second = await env.drive(start("new"))
        assert await env.drive(second.result()) == "kidnew"
        assert await env.status("old-kid") == "terminated"
        await nothing_is_left(env)


async def test_a_chains_time_is_over_while_a_child_and_an_update_are_open() -> None:
    """The child ends with it, and the update's caller is told."""
    async with engines() as env:
        await env.begin([family, kid])
        handle = await env.client.start(family, id="f", execution_timeout=3)("late")
        await env.advance(1)
        update = await env.drive(handle.start_update(add, 1))
        await env.advance(3)
        with pytest.raises(RunTimedOutError):
            await env.drive(handle.result())
        with pytest.raises(RequestFailedError):
            await env.drive(update.result())
        await env.advance(1)
        assert await env.status("late-kid") == "terminated"
        await nothing_is_left(env)


async def test_a_fork_of_a_run_with_a_child_that_has_ended_starts_none() -> None:
    """The child's result is taken over with the history."""
    async with engines() as env:
        await env.begin([family, kid])
        handle = await env.client.start(family, id="f")("fork")
        assert await env.drive(handle.result()) == "kidfork"
        again = await handle.fork(at=len(await handle.history()))
        assert await env.drive(again.result()) == "kidfork"
        assert sum(run.workflow_id == "fork-kid" for run in await env.client.list()) == 1
        assert_replays(family, await again.history())
        await nothing_is_left(env)
