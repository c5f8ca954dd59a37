"""Forks and the engines that build them: stuck ones, and workers that die at any commit."""

from __future__ import annotations

from typing import Any

import pytest

from durable import activity, sleep, workflow
from durable.history import RunForked
from tests.engine.env import engines
from tests.engine.faults import FaultyStore


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


@pytest.mark.parametrize("how", ["die", "die after"])
@pytest.mark.parametrize("number", range(5))
async def test_a_worker_that_dies_at_any_commit_costs_a_fork_nothing(how: str, number: int) -> None:
    """The next one builds it, or goes on with it: once, whichever commit it was."""
    async with engines() as env:
        first = await env.begin([flow], [add])
        source = await env.client.start(flow, id="source")(3)
        assert await env.drive(source.result()) == 3
        await env.kill(first)
        died: list[str] = []
        commits = [0]

        def plan(name: str, _number: int) -> str:
            if name == "commit":
                commits[0] += 1
                if commits[0] == number + 1:
                    return how
            return ""

        doomed = FaultyStore(env.store, plan, lambda: died.append(how))
        second = await env.begin([flow], [add], store=doomed)  # type: ignore[arg-type]
        fork = await source.fork(at=6, id="fork")
        if await env.until(lambda: died or commits[0] > 20 or _closed(fork)):
            await env.kill(second)
            await env.begin([flow], [add])
        assert await env.drive(fork.result()) == 3
        assert died == [how]
        history = await env.history("fork")
        assert sum(isinstance(event, RunForked) for event in history) == 1
        assert [type(event) for event in history if not isinstance(event, RunForked)] == [
            type(event) for event in await env.history("source")
        ]


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
