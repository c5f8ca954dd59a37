"""A message for a run that may not be there yet."""

import asyncio

from durable import Signal, workflow
from durable.testing import TestEnvironment

added = Signal("added", str)


@workflow
async def cart(customer: str) -> list[str]:
    return [customer, await added.receive(), await added.receive()]


async def main() -> None:
    async with TestEnvironment(workflows=[cart]) as env:
        handle = await env.client.start_with_signal(cart, added, "tea", id="cart-7")(
            "ada"
        )
        await env.client.start_with_signal(cart, added, "milk", id="cart-7")("ada")
        assert await handle.result() == ["ada", "tea", "milk"]


asyncio.run(main())
