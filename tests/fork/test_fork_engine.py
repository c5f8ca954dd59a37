"""Forks that are stuck, and the engines that build them."""

from __future__ import annotations

from typing import Any

from durable import activity, sleep, workflow
from tests.engine.env import engines


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow(name="flow")
async def flow(count: int) -> int:
    total = 0
    for n in range(count):
        total = await add(total, n)
        await sleep(1)
    return total


@workflow(name="flow")
async def changed(count: int) -> int:
    await sleep(count)
    return 7


async def _closed(handle: Any) -> bool:
    return (await handle.describe()).status != "running"


async def test_code_that_does_not_follow_makes_the_fork_stuck_until_it_does() -> None:
    """Its record says why, and nothing of it is written meanwhile."""
    async with engines() as env:
        first = await env.begin([flow], [add])
        source = await env.client.start(flow, id="source")(3)
        assert await env.drive(source.result()) == 3
        await env.kill(first)
        second = await env.begin([changed], [add])
        fork = await source.fork(at=6, id="fork")
        stuck = await env.until(lambda: env.stuck("fork"))
        assert "NonDeterminismError" in stuck
        assert await env.history("fork") == []
        await env.kill(second)
        await env.begin([flow], [add])
        assert await env.drive(fork.result()) == 3
        assert await env.stuck("fork") is None


async def test_a_stuck_fork_can_be_terminated() -> None:
    """Without its code."""
    async with engines() as env:
        first = await env.begin([flow], [add])
        source = await env.client.start(flow, id="source")(3)
        assert await env.drive(source.result()) == 3
        await env.kill(first)
        await env.begin([changed], [add])
        fork = await source.fork(at=6, id="fork")
        await env.until(lambda: env.stuck("fork"))
        await fork.terminate("enough")
        await env.until(lambda: _closed(fork))
        assert await env.status("fork") == "terminated"
