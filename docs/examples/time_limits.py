"""A limit for each run, and one for the whole chain of runs that continue each other."""

import asyncio

from durable import continue_as_new, sleep, workflow
from durable.errors import RunTimedOutError
from durable.testing import TestEnvironment


@workflow
async def poll(number: int) -> None:
    await sleep("1 hour")
    continue_as_new(number + 1)


async def main() -> None:
    async with TestEnvironment(workflows=[poll]) as env:
        for limits, kind in (("30 minutes", "run"), ("2 hours", "execution")):
            try:
                await env.client.execute(
                    poll, run_timeout=limits, execution_timeout="1 day"
                )(1)
            except RunTimedOutError as error:
                assert error.kind == kind


asyncio.run(main())
