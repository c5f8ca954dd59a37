"""Say how far a run is, and remove what is over."""

import asyncio

from durable import Attribute, Signal, info, upsert_attributes, workflow
from durable.testing import TestEnvironment

stage = Attribute("stage", str)
urgent = Attribute("urgent", bool)
paid = Signal("paid")


@workflow
async def order() -> str:
    upsert_attributes({stage: "unpaid", urgent: True})
    await paid.receive()
    upsert_attributes({stage: "paid", urgent: None})
    return info().attributes[stage]


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env:
        handle = await env.client.start(order)()
        await env.settle()
        assert await env.client.count(attributes={stage: "unpaid", urgent: True}) == {
            "running": 1
        }
        await handle.signal(paid)
        assert await handle.result() == "paid"
        assert await env.client.count(attributes=[urgent.exists()]) == {}


asyncio.run(main())
