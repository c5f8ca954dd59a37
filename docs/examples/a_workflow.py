"""A workflow that calls an activity, waits, and goes on after any crash in between."""

import asyncio

from durable import Client, Worker, activity, sleep, workflow


@activity
async def greeting_for(name: str) -> str:
    return f"Hello, {name}!"


@workflow(timeout="1 hour")
async def hello(name: str) -> str:
    text = await greeting_for(name)
    await sleep("50 ms")
    return text


async def main() -> None:
    async with Client.connect("memory:") as client:
        async with Worker(client, workflows=[hello], activities=[greeting_for]):
            assert await client.execute(hello, id="hello-1")("Ada") == "Hello, Ada!"


asyncio.run(main())
