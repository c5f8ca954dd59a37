"""Go on as another workflow, under another limit; handles follow."""

import asyncio

from durable import continue_as_new, sleep, workflow
from durable.testing import TestEnvironment


@workflow
async def subscription(customer: str) -> str:
    await sleep("30 days")
    return f"{customer} has paid"


@workflow
async def trial(customer: str) -> str:
    await sleep("14 days")
    continue_as_new.into(subscription, run_timeout="365 days")(customer)


async def main() -> None:
    async with TestEnvironment(workflows=[trial, subscription]) as env:
        assert await env.client.execute(trial)("Ada") == "Ada has paid"


asyncio.run(main())
