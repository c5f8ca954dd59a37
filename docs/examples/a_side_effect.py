"""Read something once; every replay gets the value that was recorded."""

import asyncio
import platform

from durable import side_effect, sleep, workflow
from durable.testing import TestEnvironment


@workflow
async def where() -> str:
    host = side_effect(platform.node)  # the machine on which the run began
    await sleep("1 day")
    return host


async def main() -> None:
    async with TestEnvironment(workflows=[where], cache_runs=0) as env:
        assert await env.client.execute(where)() == platform.node()


asyncio.run(main())
