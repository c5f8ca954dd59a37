"""Answer questions about the run's state; it answers when it is closed, too."""

import asyncio

from durable import Query, sleep, workflow
from durable.testing import TestEnvironment

progress = Query("progress", int)


@workflow
async def countdown(n: int) -> str:
    left = n

    @progress.handler
    def tell() -> int:
        return left

    while left:
        await sleep("1 s")
        left -= 1
    return "lift-off"


async def main() -> None:
    async with TestEnvironment(workflows=[countdown]) as env:
        handle = await env.client.start(countdown)(10)
        assert 0 <= await handle.query(progress) <= 10
        assert await handle.result() == "lift-off"
        assert await handle.query(progress) == 0


asyncio.run(main())
