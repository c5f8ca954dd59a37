"""Wait until a handler has changed the state, but not for ever."""

import asyncio

from durable import Signal, wait_condition, workflow
from durable.testing import TestEnvironment

vote = Signal("vote", str)


@workflow
async def poll(wanted: int) -> str:
    voters: set[str] = set()

    @vote.handler
    def count(name: str) -> None:
        voters.add(name)

    try:
        await wait_condition(lambda: len(voters) >= wanted, timeout="7 days")
    except TimeoutError:
        return f"only {len(voters)}"
    return "enough"


async def main() -> None:
    async with TestEnvironment(workflows=[poll]) as env:
        handle = await env.client.start(poll)(2)
        await handle.signal(vote, "Ada")
        await handle.signal(vote, "Ada")
        assert await handle.result() == "only 1"


asyncio.run(main())
