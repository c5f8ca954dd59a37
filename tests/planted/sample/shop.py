"""Workflows without a bug, for bugs to be planted in: what a user's own module looks like."""

import asyncio
import random as chance  # noqa: F401 - for bugs
import time  # noqa: F401 - for bugs
import uuid  # noqa: F401 - for bugs
from datetime import UTC, datetime  # noqa: F401 - for bugs

from durable import (
    Query,
    RetryPolicy,
    Signal,
    activity,
    now,
    random,
    sleep,
    uuid4,
    wait_condition,
    workflow,
)
from durable.errors import ActivityError

approved = Signal("approved", bool)
item = Signal("item", int)
progress = Query("progress", int)


class PaymentDeclined(Exception):
    """The bank says no."""


@activity(raises=[PaymentDeclined], timeout="30s")
async def charge(order: str, cents: int) -> str:
    """Take the money; return the payment's id."""
    await asyncio.sleep(0.1)
    return f"{order}/{cents}"


@activity(retry=RetryPolicy(max_attempts=3, jitter=0), timeout="10s")
async def ship(order: str) -> str:
    """Send the parcel; return its number."""
    return f"parcel {order}"


@activity
async def refund(payment: str) -> None:
    """Give the money back."""


@activity
async def note(text: str) -> None:
    """Write into the journal."""


@workflow
async def checkout(order: str, cents: int) -> str:
    """Charge, wait for the approval, ship; give the money back if anything stops it."""
    payment = await charge(order, cents)
    try:
        if await approved.receive(timeout="2 days", default=False):
            return await ship(order)
    except BaseException:
        await refund(payment)
        raise
    await refund(payment)
    return "refused"


@workflow
async def deliver(order: str) -> str:
    """Try to ship, three times."""
    for _ in range(3):
        try:
            return await ship(order)
        except ActivityError:
            await sleep("1 min")
    return "gave up"


@workflow
async def collect(order: str) -> list[int]:
    """Take items as they come: two of them, or what has come within a day after the first."""
    got: list[int] = []

    @item.handler
    def take(value: int) -> None:
        got.append(value)

    @progress.handler
    def count() -> int:
        return len(got)

    await wait_condition(lambda: got)
    await note(f"{order} has begun")
    try:
        await wait_condition(lambda: len(got) > 1, timeout="1 day")
    except TimeoutError:
        await note(f"{order} has one item")
    return got


@workflow
async def listen(order: str) -> list[int]:
    """Take two items, one after the other."""
    await note(f"{order} listens")
    return [await item.receive(), await item.receive()]


@workflow
async def pack(order: str, parts: list[str]) -> int:
    """Pack the parts, each once."""
    packed: list[str] = []
    label = str(uuid4())
    for part in sorted(set(parts)):
        packed.append(part)
        await note(f"{label}: {part} is number {len(packed)}")
    if now().microsecond % 2:
        await note("checked")
    if random().random() < 0.5:
        await note("surveyed")
    await note("packed")
    return len(packed)


@workflow
async def race(order: str) -> str:
    """Two carriers, of which the first wins."""
    tasks = [asyncio.ensure_future(ship(f"{order} by {carrier}")) for carrier in ("air", "sea")]
    done, pending = await asyncio.wait(tasks, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await note("settled")
    return f"{len(done)} answered"


@workflow(timeout="1 h")
async def endless(order: str) -> None:
    """Go on until the time limit."""
    while True:
        await sleep("10 min")
