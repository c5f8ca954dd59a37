"""Take signals whose names are not known beforehand."""

import asyncio

from durable import Signal, wait_condition, workflow
from durable.testing import TestEnvironment


@workflow
async def recorder(wanted: int) -> list[str]:
    heard: list[str] = []

    @Signal.dynamic
    def hear(name: str, value: object) -> None:
        heard.append(f"{name}={value}")

    await wait_condition(lambda: len(heard) >= wanted)
    return heard


async def main() -> None:
    async with TestEnvironment(workflows=[recorder]) as env:
        handle = await env.client.start(recorder)(2)
        await handle.signal("colour", "blue")
        await handle.signal("size", 7)
        assert await handle.result() == ["colour=blue", "size=7"]


asyncio.run(main())
