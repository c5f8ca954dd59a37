"""The world outside the shop: a warehouse, a payment provider, a carrier and the post, as they are: slow, moody, final.

Each takes an idempotency key, as real providers do: a repeated call with the same key gets the same answer and changes
nothing. Each books every call in the `ledger`. Some calls fail at first, some work but their answer is lost.
"""

import asyncio
import os
import time
import zlib
from functools import cache

from ledger import Ledger
from orders import Order

SOLD_OUT, DECLINED, NO_CARRIER, DEPOT_CLOSED = "LAM-0099", "tok_declined", "TDCU 1ZZ", "25859"


class OutOfStockError(Exception):
    """The warehouse does not have the goods."""


class PaymentDeclinedError(Exception):
    """The customer's bank says no."""


class UndeliverableError(Exception):
    """The carrier does not go to this address."""


class UnavailableError(Exception):
    """The other side does not answer now. It may later."""


@cache
def ledger() -> Ledger:
    """The ledger of this process, in the file that SHOP_LEDGER names."""
    return Ledger(os.environ.get("SHOP_LEDGER", "ledger.db"))


@cache
def _latency_s() -> float:
    return float(os.environ.get("SHOP_LATENCY", "0.06"))


async def reserve_goods(order: Order, key: str, attempt: int) -> str:
    """Put the goods aside; return the number of the reservation. Raises `OutOfStockError`."""
    refusal = OutOfStockError(SOLD_OUT) if any(item.sku == SOLD_OUT for item in order.items) else None
    return await _call("reserve", order, key, attempt, refusal=refusal)


async def release_goods(order: Order, key: str, attempt: int) -> str:
    """Put the goods back on the shelf."""
    return await _call("release", order, key, attempt)


async def charge_card(order: Order, key: str, attempt: int) -> str:
    """Take the money; return the number of the payment. Raises `PaymentDeclinedError`."""
    refusal = PaymentDeclinedError("insufficient funds") if order.payment_token == DECLINED else None
    return await _call("charge", order, key, attempt, cents=order.cents, refusal=refusal)


async def refund_card(order: Order, key: str, attempt: int) -> str:
    """Give the money back."""
    return await _call("refund", order, key, attempt, cents=order.cents)


async def send_mail(order: Order, key: str, attempt: int, note: str) -> str:
    """Tell the customer how the order ended."""
    return await _call("notify", order, key, attempt, note=note)


def book_parcel(order: Order, key: str, attempt: int) -> str:
    """Hand a parcel to the carrier, whose library blocks. Raises `UndeliverableError`."""
    refusal = UndeliverableError(order.customer.address.city) if order.customer.address.postcode == NO_CARRIER else None
    call = ledger().begin("ship", order.id, key, attempt)
    time.sleep(_latency_s() / 2)
    _take_effect(call, "ship", order, attempt, cents=order.cents, refusal=refusal)
    time.sleep(_latency_s() / 2)
    return _receipt("ship", key)


async def _call(
    kind: str,
    order: Order,
    key: str,
    attempt: int,
    *,
    cents: int = 0,
    note: str = "",
    refusal: Exception | None = None,
) -> str:
    call = ledger().begin(kind, order.id, key, attempt)
    await asyncio.sleep(_latency_s() / 2)  # a process that is killed here has done nothing ...
    _take_effect(call, kind, order, attempt, cents=cents, note=note, refusal=refusal)
    await asyncio.sleep(_latency_s() / 2)  # ... and here it has, but nobody knows
    return _receipt(kind, key)


def _take_effect(
    call: int,
    kind: str,
    order: Order,
    attempt: int,
    *,
    cents: int = 0,
    note: str = "",
    refusal: Exception | None = None,
) -> None:
    books = ledger()
    if refusal is not None:
        books.end(call, "refused")
        raise refusal
    mood = zlib.crc32(f"{kind}/{order.id}".encode()) % 100  # chance, but the same on each machine
    closed = kind == "ship" and order.customer.address.postcode == DEPOT_CLOSED
    if closed or (mood < 5 and attempt <= 1 + mood % 2):
        books.end(call, "failed")
        raise UnavailableError(f"{kind}: no answer")
    books.effect(call, order.currency, cents, note)
    if mood >= 98 and attempt == 1:
        books.end(call, "lost")
        raise UnavailableError(f"{kind}: connection lost while waiting for the answer")


def _receipt(kind: str, key: str) -> str:
    return f"{kind}-{zlib.crc32(key.encode()):08x}"  # the same for a repeated key
