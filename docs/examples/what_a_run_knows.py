"""What a run knows of itself."""

import asyncio

from durable import info, workflow
from durable.testing import TestEnvironment


@workflow(version="3")
async def order(note: str) -> str:
    me = info()
    return f"{me.workflow} {me.workflow_id} of version {me.version} on {me.queue}, for {me.memo['who']}"


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env:
        told = await env.client.execute(order, id="order-42", memo={"who": "Ada"})(
            "a note"
        )
        assert told == "order order-42 of version 3 on default, for Ada"


asyncio.run(main())
