"""An entity: one run for as long as the thing exists, a shopping cart here, that is told things and asked things for years.

Run it with `python samples/cart.py`. A history may not grow for ever, so the run goes on as a new one now and then, with
its state as argument (`continue_as_new`): here after a few messages, in earnest when `info().continue_as_new_suggested`.
Whoever holds a handle notices nothing: messages go to the current run, none is lost between two runs, and `result()` is
that of the last one.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass, field

from durable import (
    Client,
    Query,
    Signal,
    Worker,
    all_handlers_finished,
    continue_as_new,
    info,
    wait_condition,
    workflow,
)


@dataclass
class Item:
    """Some of something."""

    name: str
    count: int = 1


@dataclass
class Contents:
    """The state of a cart: what the next run begins with."""

    items: dict[str, int] = field(default_factory=dict[str, int])
    runs: int = 1


put = Signal("put", Item)
check_out = Signal("check_out")
contents = Query("contents", dict[str, int])


@workflow
async def cart(state: Contents, messages_max: int = 1_000) -> Contents:
    """Collect items until checked out."""
    messages = 0

    @put.handler
    def add(item: Item) -> None:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        nonlocal messages
        messages += 1
        state.items[item.name] = state.items.get(item.name, 0) + item.count

    @contents.handler
    def tell() -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        return state.items

    closing = asyncio.ensure_future(check_out.receive())
    await wait_condition(lambda: closing.done() or messages >= messages_max or info().continue_as_new_suggested)
    if not closing.done():
        closing.cancel()
        state.runs += 1
        continue_as_new(state, messages_max)
    await wait_condition(all_handlers_finished)
    return state


async def main(store: str) -> None:
    """Put a hundred things into a cart that keeps at most 30 messages in one history."""
    async with Client.connect(store) as client, Worker(client, workflows=[cart]):
        run = await client.start(cart, id="cart-ada")(Contents(), messages_max=30)
        for number in range(100):
            await run.signal(put, Item("apple" if number % 2 else "pear"))
        print(f"in the cart: {await run.query(contents)}")
        await run.signal(check_out)
        state = await run.result()
        print(f"checked out: {state.items}, in more than one run: {state.runs > 1}")
        status = (await client.handle(run.workflow_id, run.run_id).describe()).status
        print(f"the first of them: {status}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/carts.db")))
