"""A run waits for its handlers before it closes; wait yourself if the result needs what they have done."""

import asyncio

from durable import Signal, all_handlers_finished, sleep, wait_condition, workflow
from durable.testing import TestEnvironment

item = Signal("item", str)
close = Signal("close")


@workflow
async def basket() -> list[str]:
    packed: list[str] = []

    @item.handler
    async def pack(name: str) -> None:
        await sleep("1 minute")
        packed.append(name)

    @close.handler(unfinished="abandon")  # the run would not wait for this one
    async def log() -> None:
        await sleep("1 year")

    await wait_condition(lambda: bool(packed))
    await wait_condition(all_handlers_finished)
    return packed


async def main() -> None:
    async with TestEnvironment(workflows=[basket]) as env:
        handle = await env.client.start(basket)()
        for name in ("tea", "milk"):
            await handle.signal(item, name)
        assert await handle.result() == ["tea", "milk"]


asyncio.run(main())
