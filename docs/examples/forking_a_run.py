"""Begin a new run with what another one has recorded, up to an event."""

import asyncio

from durable import activity, workflow
from durable.testing import TestEnvironment


@activity
async def weigh(parcel: str) -> int:
    return len(parcel)


@activity
async def price(grams: int) -> int:
    return 4 * grams


@workflow
async def quote(parcel: str) -> int:
    return await price(await weigh(parcel))


async def main() -> None:
    async with TestEnvironment(workflows=[quote], activities=[weigh, price]) as env:
        source = await env.client.start(quote, id="quote-7")("a-1")
        assert await source.result() == 12
        fork = await source.fork(
            at=4, id="quote-7-again"
        )  # `price` is done anew, `weigh` is not
        assert await fork.result() == 12
        assert (len(env.calls(weigh)), len(env.calls(price))) == (1, 2)
        origin = (await fork.describe()).forked_from
        assert origin is not None
        assert (origin.workflow_id, origin.event) == ("quote-7", 4)


asyncio.run(main())
