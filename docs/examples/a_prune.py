"""Look what would go, then remove it."""

import asyncio

from durable import workflow
from durable.testing import TestEnvironment


@workflow
async def order(number: int) -> int:
    return number


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env:
        await env.client.execute(order)(1)
        await env.advance("31 days")
        await env.client.execute(order)(2)
        would = await env.client.prune(older_than="30 days", dry_run=True)
        assert would.by_workflow == {"order": 1}
        gone = await env.client.prune(older_than="30 days", status="completed")
        assert gone.runs == 1
        assert await env.client.count() == {"completed": 1}


asyncio.run(main())
