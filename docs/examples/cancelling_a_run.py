"""Ask a run to stop, and wait until it has cleaned up."""

import asyncio

from durable import activity, sleep, workflow
from durable.testing import TestEnvironment

rooms: set[str] = set()


@activity
async def book(room: str) -> None:
    rooms.add(room)


@activity
async def release(room: str) -> None:
    rooms.discard(room)


@workflow
async def stay(room: str) -> None:
    await book(room)
    try:
        await sleep("30 days")
    finally:
        await release(room)


async def main() -> None:
    async with TestEnvironment(workflows=[stay], activities=[book, release]) as env:
        handle = await env.client.start(stay)("12")
        await handle.cancel("changed plans", wait=True)
        assert (await handle.describe()).status == "cancelled"
    assert rooms == set()


asyncio.run(main())
