"""Return once the update is accepted, and ask for its result later, from anywhere, by its id."""

import asyncio

from durable import Signal, Update, sleep, workflow
from durable.testing import TestEnvironment

transfer = Update("transfer", int, str)
close = Signal("close")


@workflow
async def account() -> None:
    @transfer.handler
    async def on_transfer(cents: int) -> str:
        await sleep("1 day")
        return f"{cents} sent"

    await close.receive()


async def main() -> None:
    async with TestEnvironment(workflows=[account]) as env:
        handle = await env.client.start(account, id="account-1")()
        await handle.start_update(transfer, 30, update_id="transfer-7")

        later = env.client.handle("account-1").update_handle("transfer-7", transfer)
        assert await later.result() == "30 sent"
        assert (
            await handle.update(transfer, 30, update_id="transfer-7") == "30 sent"
        )  # once, all the same


asyncio.run(main())
