"""The shop's front: starts a run for each order, sends the customers' confirmations, collects how each order ended.

    DURABLE_STORE=sqlite:///shop.db SHOP_LEDGER=ledger.db python samples/orders/feed.py

takes all orders of the file to their end, while a worker runs elsewhere, and prints what the audit finds.
"""

import asyncio
import os
import zlib
from collections.abc import Iterable
from typing import Protocol

from audit import audit
from orders import Order, read_orders
from shop import Outcome, checkout, confirmation
from world import ledger

from durable import Client
from durable.errors import RunClosedError


class Watcher(Protocol):
    """Is told of what happens, for a display."""

    def started(self, order: Order) -> None:
        """The order's run is durably started."""
        ...

    def ended(self, order: Order, outcome: Outcome) -> None:
        """The order came to its end."""
        ...


async def feed(client: Client, orders: Iterable[Order], watcher: Watcher, *, at_once: int = 80) -> dict[str, Outcome]:
    """Take each order to its end, at most `at_once` at a time; return the outcomes by order id.

    It may be stopped and begun again: no order is started twice.
    """
    outcomes: dict[str, Outcome] = {}
    queue = iter(orders)

    async def take() -> None:
        for order in queue:
            outcomes[order.id] = await _one(client, order, watcher)
            watcher.ended(order, outcomes[order.id])

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(take())
    return outcomes


async def _one(client: Client, order: Order, watcher: Watcher) -> Outcome:
    # The same request, so the same run: a feed that is begun again finds the orders of the first one, open or ended.
    handle = await client.start(checkout, id=order.id, request_id=order.id)(order)
    watcher.started(order)
    if customer_returns(order):
        await asyncio.sleep(_thinking_s(order))
        try:
            await handle.signal(confirmation, True, request_id=f"confirm/{order.id}")
        except RunClosedError:
            pass  # the order has ended without the customer: out of stock, declined, rejected
    return await handle.result()


def customer_returns(order: Order) -> bool:
    """Whether the customer confirms. Goods of a flash sale are held for seconds, and whoever took one never comes back."""
    return order.hold != "3 s"


def _thinking_s(order: Order) -> float:
    return 0.1 + zlib.crc32(order.id.encode()) % 500 / 1000


class _Printer:
    """Prints each order as it ends."""

    def started(self, order: Order) -> None:
        pass

    def ended(self, order: Order, outcome: Outcome) -> None:
        print(order.id, outcome.status, outcome.reason)


async def main() -> None:
    """Feed all orders and print what the audit finds."""
    entries = list(read_orders())
    async with Client.connect(os.environ.get("DURABLE_STORE", "sqlite:///shop.db")) as client:
        outcomes = await feed(client, (entry for entry in entries if isinstance(entry, Order)), _Printer())
    found = audit(ledger(), entries, outcomes)
    print(f"{found.ended_once:,} orders ended exactly once, {found.charged_twice} were charged twice")
    for problem in found.problems:
        print(problem)


if __name__ == "__main__":
    asyncio.run(main())
