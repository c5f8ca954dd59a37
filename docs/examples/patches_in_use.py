"""Which open runs still need a patch, and in which way."""

import asyncio

from durable import Signal, patched, workflow
from durable.testing import TestEnvironment

go = Signal("go")


@workflow
async def signup(user: str) -> str:
    way = "new" if patched("check-first") else "old"
    await go.receive()
    return way


async def main() -> None:
    async with TestEnvironment(workflows=[signup]) as env:
        handle = await env.client.start(signup, id="signup-1")("Ada")
        await env.settle()
        (use,) = await env.client.patches()
        assert (use.patch, use.workflow, use.marked) == ("check-first", "signup", 1)
        await handle.signal(go)
        await handle.result()
        assert await env.client.patches() == []  # now the old way may go


asyncio.run(main())
