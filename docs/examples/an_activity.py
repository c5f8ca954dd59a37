"""An error that is an answer: it is declared, not retried, and reaches the workflow as itself."""

import asyncio

from durable import activity, workflow
from durable.testing import TestEnvironment


class CardRefused(Exception):
    pass


@activity(timeout="30 s", raises=[CardRefused])
async def charge(cents: int) -> str:
    if cents > 1000:
        raise CardRefused("no cover")
    return "receipt"


@workflow
async def buy(cents: int) -> str:
    try:
        return await charge(cents)
    except CardRefused as error:
        return f"refused: {error}"


async def main() -> None:
    async with TestEnvironment(workflows=[buy], activities=[charge]) as env:
        assert await env.client.execute(buy)(500) == "receipt"
        assert await env.client.execute(buy)(5000) == "refused: no cover"


asyncio.run(main())
