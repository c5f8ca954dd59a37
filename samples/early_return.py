"""An early return: the caller gets its answer as soon as it can be given, and the run goes on with what takes longer.

Run it with `python samples/early_return.py`. A payment is started by an update: one call that starts the run, waits until
the card was looked at, and returns the number of the payment. The money is moved afterwards, while the customer has long
gone. A card that is refused is known to the caller at once.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass

from durable import Client, Update, Worker, activity, uuid4, wait_condition, workflow


class CardRefusedError(Exception):
    """Told to the caller."""


@dataclass
class Payment:
    """Who pays how much."""

    card: str
    euros: int


accepted = Update("accepted", None, str, raises=[CardRefusedError])


@activity(raises=[CardRefusedError])
async def look_at(card: str) -> None:
    """Quick: would ask the bank whether the card is good."""
    if card == "stolen":
        raise CardRefusedError("this card was reported as stolen")


@activity
async def move_money(payment: Payment) -> None:
    """Slow: would settle between two banks."""
    await asyncio.sleep(0.1)


@workflow
async def pay(payment: Payment) -> str:
    """Look at the card, tell the caller, and move the money."""
    number = f"payment {uuid4().hex[:8]}"
    looked, refused = False, None

    @accepted.handler
    async def tell() -> str:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        await wait_condition(lambda: looked)
        if refused is not None:
            raise refused
        return number

    try:
        await look_at(payment.card)
    except CardRefusedError as error:
        refused = error
        return f"{number} was refused"
    finally:
        looked = True
    await move_money(payment)
    return f"{number} of {payment.euros} euros is settled"


async def main(store: str) -> None:
    """Pay with a good card, and with a bad one."""
    async with Client.connect(store) as client, Worker(client, workflows=[pay], activities=[look_at, move_money]):
        begun = await client.start_with_update(pay, accepted, id="order-1")(Payment("good", 30))
        number = await begun.result()
        status = (await begun.run.describe()).status
        print(f"The customer has a number: {number.startswith('payment ')}; the run is {status}")
        settled = await begun.run.result()
        print(f"Later: {settled == f'{number} of 30 euros is settled'}")

        begun = await client.start_with_update(pay, accepted, id="order-2")(Payment("stolen", 99))
        try:
            await begun.result()
        except CardRefusedError as error:
            print(f"The customer is told: {error}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/payments.db")))
