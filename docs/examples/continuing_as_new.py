"""One workflow id for years, in runs that stay short: the state is passed on, and unread signals go along."""

import asyncio

from durable import Signal, continue_as_new, workflow
from durable.testing import TestEnvironment

deposit = Signal("deposit", int)


@workflow
async def account(cents: int) -> int:
    for _ in range(2):  # or: while not info().continue_as_new_suggested
        amount = await deposit.receive()
        if amount == 0:
            return cents
        cents += amount
    continue_as_new(cents)


async def main() -> None:
    async with TestEnvironment(workflows=[account]) as env:
        handle = await env.client.start(account, id="account-7")(100)
        for amount in (1, 2, 3, 4, 0):
            await handle.signal(deposit, amount)
        assert await handle.result() == 110  # of the third run
        assert (await handle.describe()).status == "continued_as_new"  # of the first


asyncio.run(main())
