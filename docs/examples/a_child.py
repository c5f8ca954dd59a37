"""Start a child, tell it something, and wait for its result."""

import asyncio

from durable import Signal, start_child, workflow
from durable.testing import TestEnvironment

hint = Signal("hint", str)


@workflow
async def search(what: str) -> str:
    return f"{what} is {await hint.receive()}"


@workflow
async def detective(what: str) -> str:
    child = await start_child(search, id=f"search-{what}", parent_close="cancel")(what)
    await child.signal(hint, "behind the sofa")
    return await child


async def main() -> None:
    async with TestEnvironment(workflows=[detective, search]) as env:
        assert (
            await env.client.execute(detective)("the cat")
            == "the cat is behind the sofa"
        )


asyncio.run(main())
