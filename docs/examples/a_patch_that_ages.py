"""The second step of a patch: runs that recorded it still replay, and new ones need it no more."""

import asyncio

from durable import activity, deprecate_patch, patched, workflow
from durable.testing import TestEnvironment, replay


@activity
async def check(user: str) -> None: ...


@workflow(name="signup")
async def first_step(user: str) -> None:
    if patched("check-first"):
        await check(user)


@workflow(name="signup")
async def second_step(user: str) -> None:
    deprecate_patch("check-first")
    await check(user)


@workflow(name="signup")
async def third_step(user: str) -> None:
    await check(user)


async def main() -> None:
    async with TestEnvironment(workflows=[first_step], activities=[check]) as env:
        run = await env.client.start(first_step)("Ada")
        await run.result()
        assert replay(second_step, await run.history()).ok
        assert not replay(
            third_step, await run.history()
        ).ok  # too early, while such a run is open


asyncio.run(main())
