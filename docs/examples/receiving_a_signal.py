"""Wait for an answer for two weeks at most."""

import asyncio

from durable import Signal, workflow
from durable.testing import TestEnvironment

approved = Signal("approved", bool)


@workflow
async def expense(cents: int) -> str:
    try:
        answer = await approved.receive(timeout="14 days")
    except TimeoutError:
        return "nobody answered"
    return "approved" if answer else "refused"


async def main() -> None:
    async with TestEnvironment(workflows=[expense]) as env:
        handle = await env.client.start(expense)(1250)
        await handle.signal(approved, True)
        assert await handle.result() == "approved"
        assert await env.client.execute(expense)(1250) == "nobody answered"


asyncio.run(main())
