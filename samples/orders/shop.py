"""A shop's checkout as a durable workflow: reserve, charge, wait for the customer, ship, tell; a saga undoes what must be undone.

The workflow is ordinary asyncio code. Each activity is a call to the outside world; its result is recorded once and never
asked for again, whatever dies in between. What an activity did just before its process died may be done a second time: so
each call carries the `idempotency_key` of the activity, which is the same on every attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import world
from orders import Order
from world import OutOfStockError, PaymentDeclinedError, UndeliverableError

from durable import Query, RetryPolicy, Signal, activity, activity_info, proxy, workflow
from durable.errors import ActivityError

CURRENCIES = frozenset({"EUR", "GBP", "USD"})
# Short pauses, so that the demo is short. Money moves until it has moved: a refund is tried for as long as it takes.
FEW = RetryPolicy(initial_interval="50 ms", max_attempts=4)
ENDLESS = RetryPolicy(initial_interval="50 ms", maximum_interval="1 min", max_attempts=None)

Undo = Callable[[Order], Awaitable[None]]
Status = Literal["shipped", "refunded", "cancelled", "rejected"]


@dataclass(frozen=True)
class Outcome:
    """How an order ended, and why."""

    status: Status
    reason: str = ""
    tracking: str = ""


confirmation = Signal("confirmation", bool)  # the customer clicked the link in the mail
progress = Query("progress", str)


@activity(raises=[OutOfStockError], retry=FEW, timeout="10 s")
async def reserve(order: Order) -> str:
    """Put the goods aside."""
    me = activity_info()
    return await world.reserve_goods(order, me.idempotency_key, me.attempt)


@activity(raises=[PaymentDeclinedError], retry=ENDLESS, timeout="10 s")
async def charge(order: Order) -> str:
    """Take the money."""
    me = activity_info()
    return await world.charge_card(order, me.idempotency_key, me.attempt)


@activity(raises=[UndeliverableError], retry=FEW)
def ship(order: Order) -> str:
    """Hand the parcel to the carrier. A plain `def`, since the carrier's library blocks: it runs in a thread."""
    me = activity_info()
    return world.book_parcel(order, me.idempotency_key, me.attempt)


@activity(retry=ENDLESS, timeout="10 s")
async def release(order: Order) -> None:
    """Undo `reserve`."""
    me = activity_info()
    await world.release_goods(order, me.idempotency_key, me.attempt)


@activity(retry=ENDLESS, timeout="10 s")
async def refund(order: Order) -> None:
    """Undo `charge`."""
    me = activity_info()
    await world.refund_card(order, me.idempotency_key, me.attempt)


@activity(retry=ENDLESS, timeout="10 s")
async def notify(order: Order, news: str) -> None:
    """Tell the customer."""
    me = activity_info()
    await world.send_mail(order, me.idempotency_key, me.attempt, news)


@workflow
async def checkout(order: Order) -> Outcome:
    """Take an order from the basket to its end."""
    state = "checking"

    @progress.handler
    def tell() -> str:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        return state

    if problem := wrong_with(order):
        await notify(order, "rejected")
        return Outcome("rejected", problem)

    undo: list[Undo] = []  # what must be undone should the order not go through, in the order in which it was done
    try:
        state = "reserving"
        await reserve(order)
        undo.append(release)
        state = "charging"
        await charge(order)
        undo.append(refund)
        state = "waiting for the customer"
        await confirmation.receive(timeout=order.hold)
        state = "shipping"
        tracking = await proxy(ship, timeout="10 s")(order)  # a plain `def` needs `proxy` to be awaited
    except asyncio.CancelledError:
        await undo_all(undo, order)
        raise
    except (OutOfStockError, PaymentDeclinedError, UndeliverableError, ActivityError, TimeoutError) as error:
        state = "undoing"
        await undo_all(undo, order)
        outcome = Outcome("refunded" if refund in undo else "cancelled", reason_of(error))
        await notify(order, outcome.status)
        return outcome
    await notify(order, "shipped")
    return Outcome("shipped", tracking=tracking)


def wrong_with(order: Order) -> str:
    """Return what is wrong with an order whose form is right, or nothing."""
    if order.currency not in CURRENCIES:
        return "unknown currency"
    if order.total != sum(item.quantity * item.unit_price for item in order.items):
        return "total does not add up"
    return ""


def reason_of(error: Exception) -> str:
    """Return why an order did not go through, in the words of the shop."""
    match error:
        case OutOfStockError():
            return "out of stock"
        case PaymentDeclinedError():
            return "payment declined"
        case UndeliverableError():
            return "no carrier goes there"
        case ActivityError():
            return f"{error.activity} failed"
        case _:
            return "never confirmed"


async def undo_all(undo: Sequence[Undo], order: Order) -> None:
    """The saga: undo what was done, the last thing first."""
    for step in reversed(undo):
        await step(order)
