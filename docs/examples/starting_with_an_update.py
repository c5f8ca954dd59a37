"""An early answer from a run that goes on for long."""

import asyncio

from durable import Update, sleep, workflow
from durable.testing import TestEnvironment

confirm = Update("confirm", str, str)


@workflow
async def payment(cents: int) -> str:
    @confirm.handler
    def on_confirm(card: str) -> str:
        return f"payment of {cents} by {card} is under way"

    await sleep("3 days")
    return "paid"


async def main() -> None:
    async with TestEnvironment(workflows=[payment]) as env:
        call = env.client.start_with_update(
            payment, confirm, "my card", id="payment-1", update_id="confirm-1"
        )
        started = await call(1250)
        assert await started.result() == "payment of 1250 by my card is under way"
        assert await started.run.result() == "paid"


asyncio.run(main())
