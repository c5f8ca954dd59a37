"""A first evening: one workflow, one activity, one process. Run it with `python samples/hello.py`."""

import asyncio
import os
import tempfile

from durable import Client, Worker, activity, workflow


@activity
async def greeting_for(name: str) -> str:
    """Activities do the I/O: a request, a query, a file. This one only makes a text."""
    return f"Hello, {name}!"


@workflow
async def hello(name: str) -> str:
    """Ordinary async code. What it awaits is recorded, so that another process could go on from there."""
    return await greeting_for(name)


async def main(store: str) -> None:
    """Run a worker and a client in this process, on the store at that URL."""
    async with Client.connect(store) as client, Worker(client, workflows=[hello], activities=[greeting_for]):
        handle = await client.start(hello, id="hello-1")("world")
        print(await handle.result())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/hello.db")))
