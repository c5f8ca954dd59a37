"""A step that is added in front of others: open runs, which are past that point, go the old way."""

import asyncio

from durable import activity, patched, workflow
from durable.testing import TestEnvironment, replay


@activity
async def check(user: str) -> None: ...


@activity
async def welcome(user: str) -> None: ...


@workflow(name="signup")
async def before(user: str) -> None:
    await welcome(user)


@workflow(name="signup")
async def after(user: str) -> None:
    if patched("check-first"):
        await check(user)
    await welcome(user)


async def main() -> None:
    async with TestEnvironment(workflows=[before], activities=[welcome]) as env:
        old = await env.client.start(before)("Ada")
        await old.result()
        assert replay(after, await old.history()).ok


asyncio.run(main())
