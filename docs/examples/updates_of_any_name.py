"""Carry out requests whose names are not known beforehand."""

import asyncio

from durable import Signal, Update, workflow
from durable.testing import TestEnvironment

close = Signal("close")


@workflow
async def settings() -> dict[str, object]:
    values: dict[str, object] = {}

    @Update.dynamic
    def change(name: str, value: object) -> object:
        before = values.get(name)
        values[name] = value
        return before

    await close.receive()
    return values


async def main() -> None:
    async with TestEnvironment(workflows=[settings]) as env:
        handle = await env.client.start(settings)()
        assert await handle.update("colour", "blue") is None
        assert await handle.update("colour", "red") == "blue"
        await handle.signal(close)
        assert await handle.result() == {"colour": "red"}


asyncio.run(main())
