"""Carry out a request and answer it; what cannot be done is refused before it is recorded."""

import asyncio

from durable import Signal, Update, activity, workflow
from durable.errors import UpdateRejectedError
from durable.testing import TestEnvironment

deposit = Update("deposit", int, int)
close = Signal("close")


@activity
async def book(amount: int) -> int:
    return amount


@workflow
async def account() -> None:
    balance = 0

    @deposit.validator
    def check(amount: int) -> None:
        if amount <= 0:
            raise ValueError(f"not a deposit: {amount}")

    @deposit.handler
    async def on_deposit(amount: int) -> int:
        nonlocal balance
        balance += await book(amount)
        return balance

    await close.receive()


async def main() -> None:
    async with TestEnvironment(workflows=[account], activities=[book]) as env:
        handle = await env.client.start(account)()
        assert await handle.update(deposit, 50) == 50
        try:
            await handle.update(deposit, -5)
        except UpdateRejectedError as error:
            assert str(error.__cause__) == "not a deposit: -5"


asyncio.run(main())
