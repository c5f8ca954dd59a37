"""Ids and chance that replay gives again."""

import asyncio

from durable import random, sleep, uuid4, workflow
from durable.testing import TestEnvironment


@workflow
async def draw(names: list[str]) -> list[str]:
    ticket = str(uuid4())
    winner = random().choice(names)
    await sleep("1 day")  # replayed after it, the code has the same ticket and winner
    return [ticket, winner]


async def main() -> None:
    async with TestEnvironment(
        workflows=[draw], cache_runs=0
    ) as env:  # replays at every step
        _ticket, winner = await env.client.execute(draw)(["Ada", "Bo"])
        assert winner in ("Ada", "Bo")


asyncio.run(main())
