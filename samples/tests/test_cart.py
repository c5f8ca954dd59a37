"""Tests of `cart.py`: a cart that lives for years, and loses nothing on the way."""

from cart import Contents, Item, cart, check_out, contents, put

from durable.testing import TestEnvironment, assert_replays


async def test_everything_is_in_the_cart() -> None:
    """However many runs it took."""
    async with TestEnvironment(workflows=[cart]) as env:
        run = await env.client.start(cart, id="cart")(Contents(), messages_max=5)
        for number in range(23):
            await run.signal(put, Item(f"thing {number % 4}"))
            if number % 3 == 0:
                await env.settle()
        await run.signal(check_out)
        state = await run.result()
        assert sum(state.items.values()) == 23
        assert state.runs > 1
        for description in await env.client.list(workflow=cart):
            history = await env.client.handle("cart", description.run_id).history()
            assert_replays(cart, history)
            assert len(history) < 30


async def test_the_cart_can_be_looked_into() -> None:
    """By a handle of any of its runs: the current one answers."""
    async with TestEnvironment(workflows=[cart]) as env:
        run = await env.client.start(cart, id="cart")(Contents(), messages_max=2)
        for name in ("apple", "pear", "plum"):
            await run.signal(put, Item(name))
            await env.settle()
        assert await run.query(contents) == {"apple": 1, "pear": 1, "plum": 1}
        assert (await env.client.handle("cart").describe()).run_id != run.run_id


async def test_a_crash_between_two_runs() -> None:
    """The state is in the log, like everything else."""
    async with TestEnvironment(workflows=[cart]) as env:
        run = await env.client.start(cart, id="cart")(Contents(), messages_max=1)
        for name in ("apple", "pear"):
            await run.signal(put, Item(name, 3))
            await env.crash_worker()
        await run.signal(check_out)
        assert (await run.result()).items == {"apple": 3, "pear": 3}
