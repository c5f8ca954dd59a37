"""Ask whether something needs attention, and what to do."""

import asyncio

from durable import Client, Signal, workflow

go = Signal("go")


@workflow
async def waits() -> None:
    await go.receive()


async def main() -> None:
    async with Client.connect("memory:") as client:
        await client.start(waits, id="w-1")()  # and no worker
        health = await client.health()
        assert not health.ok
        advice = {found.check: found.advice for found in health.findings}
        assert advice["workflows"].startswith("start a worker that has it")


asyncio.run(main())
