"""Sleep for 30 days: a durable timer. A test does not wait for it."""

import asyncio
from datetime import timedelta

from durable import now, sleep, workflow
from durable.testing import TestEnvironment


@workflow
async def nap() -> timedelta:
    began = now()
    await sleep("30 days")
    return now() - began


async def main() -> None:
    async with TestEnvironment(workflows=[nap]) as env:
        assert await env.client.execute(nap)() == timedelta(days=30)


asyncio.run(main())
