"""A short call that needs no task queue: it and what follows are recorded in one commit."""

import asyncio

from durable import activity, local, workflow
from durable.testing import TestEnvironment


@activity
async def exchange_rate(currency: str) -> float:
    return {"EUR": 1.0, "SEK": 11.5}[currency]  # a look into a cache, for instance


@workflow
async def convert(euros: float, currency: str) -> float:
    rate: float = await local(exchange_rate)(currency)
    return euros * rate


async def main() -> None:
    async with TestEnvironment(workflows=[convert], activities=[exchange_rate]) as env:
        assert await env.client.execute(convert)(2.0, "SEK") == 23.0


asyncio.run(main())
