"""Another process keeps an attempt alive, lets it fail, and completes the next one."""

import asyncio

from durable import activity, activity_info, complete_later, workflow
from durable.testing import TestEnvironment

jobs: asyncio.Queue[str] = asyncio.Queue()


@activity(timeout="1 day", heartbeat_timeout="10 minutes")
async def print_labels(count: int) -> int:
    jobs.put_nowait(activity_info().token)
    return complete_later()


@workflow
async def shipping(count: int) -> int:
    return await print_labels(count)


async def main() -> None:
    async with TestEnvironment(workflows=[shipping], activities=[print_labels]) as env:
        handle = await env.client.start(shipping)(40)
        first = env.client.activity(await jobs.get())
        await first.heartbeat(25)
        await first.fail("out of paper")
        second = env.client.activity(await jobs.get())
        assert (first.attempt, second.attempt) == (1, 2)
        await second.complete(40)
        assert await handle.result() == 40


asyncio.run(main())
