"""A person decides: the activity hands out its token, and whoever has it gives the result."""

import asyncio

from durable import activity, activity_info, complete_later, workflow
from durable.testing import TestEnvironment

mails: asyncio.Queue[str] = asyncio.Queue()


@activity(timeout="7 days")
async def ask_for_approval(amount: int) -> str:
    mails.put_nowait(activity_info().token)
    return complete_later()


@workflow
async def purchase(amount: int) -> str:
    return f"approved by {await ask_for_approval(amount)}"


async def main() -> None:
    async with TestEnvironment(
        workflows=[purchase], activities=[ask_for_approval]
    ) as env:
        handle = await env.client.start(purchase)(500)
        token = await mails.get()
        await env.client.activity(token, activity=ask_for_approval).complete("Ada")
        assert await handle.result() == "approved by Ada"


asyncio.run(main())
