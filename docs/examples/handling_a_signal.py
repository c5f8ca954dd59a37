"""A handler takes each signal while the main code does something else."""

import asyncio

from durable import Signal, sleep, workflow
from durable.testing import TestEnvironment

tip = Signal("tip", int)


@workflow
async def concert() -> int:
    total = 0

    @tip.handler
    async def collect(cents: int) -> None:
        nonlocal total
        await sleep(
            "1 s"
        )  # handlers take turns, so nobody else changes `total` meanwhile
        total += cents

    await sleep("2 hours")
    return total


async def main() -> None:
    async with TestEnvironment(workflows=[concert]) as env:
        handle = await env.client.start(concert)()
        for cents in (50, 200):
            await handle.signal(tip, cents)
        assert await handle.result() == 250


asyncio.run(main())
