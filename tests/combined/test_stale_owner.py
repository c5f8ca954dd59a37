"""An owner that has lost its partition without knowing, and is asked about a run that began after that."""

import asyncio
from typing import Any

import pytest

from durable.author import Query, Signal, workflow
from durable.stores import Store
from tests.engine.env import engines
from tests.engine.faults import FaultyStore

go = Signal("go")
count = Query("count", int)


@workflow
async def counts(n: int) -> int:
    @count.handler
    def answer() -> int:
        return n

    await go.receive()
    return n


async def test_a_run_that_is_started_anew_under_an_owner_that_does_not_know_of_the_end_of_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has the last one in memory, open, and reads the start of the next one with a question to it: nothing is wrong with that run."""
    async with engines(partitions=1) as env:
        gate: asyncio.Future[None] | None = None

        def plan(name: str, _number: int) -> Any:
            return gate if gate is not None and not gate.done() else ""

        store: Store = FaultyStore(env.store, plan)  # type: ignore[assignment]
        stale = await env.begin([counts], store=store)
        first = await env.client.start(counts, id="c")(1)
        await env.advance(1)
        gate = asyncio.get_running_loop().create_future()
        await env.advance(1)  # from here on, it hears nothing
        await env.store.end_session(stale)
        second = await env.begin([counts])
        await first.signal(go)
        assert await env.drive(first.result()) == 1
        await env.kill(second)
        again = await env.client.start(counts, id="c")(2)
        asked = asyncio.ensure_future(again.query(count, timeout=60))
        await env.settle()
        gate.set_result(None)
        await env.settle()
        await env.begin([counts])
        assert await env.drive(asked) == 2
        assert "is stuck" not in caplog.text
        await again.signal(go)
        assert await env.drive(again.result()) == 2
