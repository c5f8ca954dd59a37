"""Three attempts, one and two minutes apart; a wrong password is not tried again."""

import asyncio

from durable import RetryPolicy, activity, workflow
from durable.errors import ActivityError
from durable.testing import TestEnvironment


@activity(
    retry=RetryPolicy(
        initial_interval="1 minute",
        coefficient=2,
        max_attempts=3,
        jitter=0,
        non_retryable=[PermissionError],
    )
)
async def fetch(url: str) -> str:
    raise ConnectionError("the network is down")


@workflow
async def crawl(url: str) -> str:
    try:
        return await fetch(url)
    except ActivityError as error:
        return repr(error.__cause__)


async def main() -> None:
    async with TestEnvironment(workflows=[crawl], activities=[fetch]) as env:
        began = env.now
        assert (
            await env.client.execute(crawl)("example.com")
            == "ConnectionError('the network is down')"
        )
        assert round((env.now - began).total_seconds() / 60) == 3
        assert len(env.calls(fetch)) == 3


asyncio.run(main())
