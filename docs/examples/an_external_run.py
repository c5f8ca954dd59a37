"""Signal a run that is no child, by its workflow id."""

import asyncio

from durable import Signal, external, workflow
from durable.errors import RunNotFoundError
from durable.testing import TestEnvironment

paid = Signal("paid", int)


@workflow
async def order() -> int:
    return await paid.receive()


@workflow
async def payment(cents: int) -> str:
    await external("order-42").signal(paid, cents)
    try:
        await external("order-43").cancel()
    except RunNotFoundError:
        return "there is no order-43"
    return "done"


async def main() -> None:
    async with TestEnvironment(workflows=[order, payment]) as env:
        waiting = await env.client.start(order, id="order-42")()
        assert await env.client.execute(payment)(1250) == "there is no order-43"
        assert await waiting.result() == 1250


asyncio.run(main())
