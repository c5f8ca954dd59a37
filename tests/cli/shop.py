"""A module as users write it: what the command line's tests look for things in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from durable import Interceptor, Query, RetryPolicy, Signal, Update, activity, complete_later, proxy, workflow
from durable.interceptors import RunActivityInput

approved = Signal("approved", bool)


@dataclass
class Order:
    id: str
    amount: int


@activity
async def charge(order: Order) -> str:
    """Charge an order."""
    return f"paid {order.amount}"


@activity(retry=RetryPolicy(max_attempts=1))
async def ask_outside(order_id: str) -> str:
    """Leave the answer to somebody else."""
    return complete_later()


@workflow
async def outside(order_id: str) -> str:
    """Wait for an answer from outside."""
    return f"{order_id}: {await ask_outside(order_id)}"


class Warehouse:
    """Activities that are methods."""

    @activity
    def ship(self, order_id: str) -> str:
        """Ship an order."""
        return order_id


@workflow
async def checkout(order: Order, note: str = "", *, express: bool = False) -> str:
    """Charge an order and say how it went."""
    return f"{await charge(order)} {note}"


@workflow
async def approval(order_id: str) -> str:
    """Wait for a person."""
    return f"{order_id} {'approved' if await approved.receive() else 'refused'}"


class SoldOutError(Exception):
    """Declared by `take`."""


take = Update("take", int, int, raises=[SoldOutError])
left = Query("left", dict[str, int])


@workflow
async def stock(items: int) -> int:
    """Hand out items until somebody approves of closing."""

    @left.handler
    def tell(what: str = "items") -> dict[str, int]:
        return {what: items}

    @take.validator
    def check(number: int) -> None:
        if number < 1:
            raise ValueError(f"not a number of items: {number}")

    @take.handler
    def on_take(number: int) -> int:
        nonlocal items
        if number > items:
            raise SoldOutError(f"only {items} left")
        items -= number
        return items

    await approved.receive()
    return items


@workflow
async def broken() -> None:
    """Fail."""
    raise ValueError("out of stock")


@workflow
async def outsourced() -> str:
    """Ask for what only a worker of another queue does."""
    return str(await proxy("render", queue="gpu")())


@workflow(name="refund-order")
async def refund(*order_ids: str) -> int:
    """Count some orders."""
    return len(order_ids)


class Stamping(Interceptor):
    """Puts results of activities in brackets."""

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        return f"<{await next(input)}>"


class Underlining(Interceptor):
    """Puts results of activities between marks."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        return f"{self.mark}{await next(input)}{self.mark}"


underlining = Underlining("_")
everything = [checkout, charge]
warehouse = Warehouse()
number = 7
