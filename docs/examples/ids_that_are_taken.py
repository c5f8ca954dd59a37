"""One open run an id: a second start fails, or gets the open run's handle, or takes its place."""

import asyncio

from durable import Signal, workflow
from durable.errors import RunAlreadyOpenError, WorkflowIdUsedError
from durable.testing import TestEnvironment

go = Signal("go")


@workflow
async def order(note: str) -> str:
    await go.receive()
    return note


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env:
        first = await env.client.start(order, id="order-1")("first")
        try:
            await env.client.start(order, id="order-1")("second")
        except RunAlreadyOpenError as error:
            assert error.handle.run_id == first.run_id
        same = await env.client.start(order, id="order-1", on_conflict="use_existing")(
            "second"
        )
        assert same.run_id == first.run_id
        instead = await env.client.start(
            order, id="order-1", on_conflict="terminate_existing"
        )("third")
        await instead.signal(go)
        assert await instead.result() == "third"
        try:
            await env.client.start(order, id="order-1", reuse="after_failure")("fourth")
        except WorkflowIdUsedError as error:
            assert error.status == "completed"


asyncio.run(main())
