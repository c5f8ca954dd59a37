"""Take signals one after the other, in the order in which they were sent."""

import asyncio

from durable import Signal, workflow
from durable.testing import TestEnvironment

item = Signal("item", str)


@workflow
async def basket() -> list[str]:
    items: list[str] = []
    async for name in item:
        if name == "checkout":
            break
        items.append(name)
    return items


async def main() -> None:
    async with TestEnvironment(workflows=[basket]) as env:
        handle = await env.client.start(basket)()
        for name in ("tea", "milk", "checkout"):
            await handle.signal(item, name)
        assert await handle.result() == ["tea", "milk"]


asyncio.run(main())
