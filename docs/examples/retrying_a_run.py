"""Reopen a failed run where it failed, once the cause is mended; what was recorded stays."""

import asyncio

from durable import RetryPolicy, activity, workflow
from durable.errors import RunFailedError
from durable.testing import TestEnvironment

broken = True


@activity(retry=RetryPolicy(max_attempts=1))
async def ship(order: str) -> str:
    if broken:
        raise ConnectionError("the carrier is down")
    return f"{order} shipped"


@workflow
async def checkout(order: str) -> str:
    return await ship(order)


async def main() -> None:
    global broken
    async with TestEnvironment(workflows=[checkout], activities=[ship]) as env:
        handle = await env.client.start(checkout)("order-42")
        try:
            await handle.result()
        except RunFailedError:
            broken = False
            await handle.retry()
        assert await handle.result() == "order-42 shipped"
        assert (await handle.describe()).retries == 1


asyncio.run(main())
