"""Options for one call: of an activity, of one that is known by name only, and of a child workflow."""

import asyncio

from durable import RetryPolicy, activity, proxy, workflow
from durable.testing import TestEnvironment


@activity
async def price(item: str) -> int:
    return len(item)


@workflow
async def wrap(item: str) -> str:
    return f"({item})"


@workflow
async def order(item: str) -> str:
    cents = await proxy(price, timeout="5 s", retry=RetryPolicy(max_attempts=3))(item)
    again: int = await proxy("price", returns=int)(item)
    wrapped = await proxy(wrap, id=f"wrap-{item}", parent_close="cancel")(item)
    return f"{wrapped} {cents + again}"


async def main() -> None:
    async with TestEnvironment(workflows=[order, wrap], activities=[price]) as env:
        assert await env.client.execute(order)("tea") == "(tea) 6"


asyncio.run(main())
