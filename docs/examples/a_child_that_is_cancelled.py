"""Cancel a child, and wait until it has cleaned up."""

import asyncio

from durable import sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunCancelledError
from durable.testing import TestEnvironment


@workflow
async def download(url: str) -> None:
    try:
        await sleep("1 day")
    finally:
        await sleep("1 s")  # cleanup


@workflow
async def impatient(url: str) -> str:
    child = await start_child(download)(url)
    await sleep("1 minute")
    await child.cancel("it takes too long")
    try:
        await child
    except ChildWorkflowError as error:
        assert isinstance(error.__cause__, RunCancelledError)
    return "gave up"


async def main() -> None:
    async with TestEnvironment(workflows=[impatient, download]) as env:
        assert await env.client.execute(impatient)("example.com") == "gave up"


asyncio.run(main())
