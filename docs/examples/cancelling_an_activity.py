"""Three ways to cancel a wait: "try" tells the attempt, "wait" also waits for its end, "abandon" leaves it alone."""

import asyncio
from typing import Literal

from durable import Client, Worker, activity, proxy, workflow

steps: list[str] = []


@activity
async def copy(path: str) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        steps.append("the attempt let go")


@workflow
async def backup(way: Literal["try", "wait", "abandon"]) -> str:
    try:
        async with asyncio.timeout(0.2):
            await proxy(copy, cancellation=way)("a.txt")
    except TimeoutError:
        return f"gave up after: {steps}"
    return "copied"


async def main() -> None:
    async with (
        Client.connect("memory:") as client,
        Worker(client, workflows=[backup], activities=[copy]),
    ):
        assert (
            await client.execute(backup, id="backup-1")("wait")
            == "gave up after: ['the attempt let go']"
        )


asyncio.run(main())
