"""Tests of the shop's checkout: its saga undoes what was done, and only that, whatever fails."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from orders import Order, read_orders
from shop import Outcome, charge, checkout, confirmation, notify, progress, refund, release, reserve, ship
from world import OutOfStockError, PaymentDeclinedError, UnavailableError, UndeliverableError

from durable.testing import TestEnvironment

GOOD = next(order for order in read_orders() if isinstance(order, Order) and order.currency == "EUR")
ORDER = replace(GOOD, hold="2 days")


@pytest.fixture
async def env() -> AsyncIterator[TestEnvironment]:
    """A world in which everything works, in a second each."""
    async with TestEnvironment(workflows=[checkout]) as env:
        env.fake(reserve, returns="reservation-1", takes="1 s")
        env.fake(charge, returns="payment-1", takes="1 s")
        env.fake(ship, returns="parcel-1", takes="1 s")
        for undo in (release, refund):
            env.fake(undo, returns=None, takes="1 s")
        env.fake(notify, returns=None)
        yield env


def done(env: TestEnvironment) -> list[str]:
    """Return what was done to the outside, in order."""
    return [call.activity for call in env.calls()]


async def confirmed(env: TestEnvironment, order: Order = ORDER) -> Outcome:
    """Order, and confirm at once."""
    handle = await env.client.start(checkout, id=order.id)(order)
    await handle.signal(confirmation, True)
    return await handle.result()


async def test_a_confirmed_order_is_shipped(env: TestEnvironment) -> None:
    """And the customer told."""
    assert await confirmed(env) == Outcome("shipped", tracking="parcel-1")
    assert done(env) == ["reserve", "charge", "ship", "notify"]
    assert env.calls(notify)[0]["news"] == "shipped"


async def test_an_order_that_nobody_confirms_is_undone(env: TestEnvironment) -> None:
    """After two days; the last thing first."""
    began = env.now
    outcome = await env.client.execute(checkout)(ORDER)
    assert outcome == Outcome("refunded", "never confirmed")
    assert done(env) == ["reserve", "charge", "refund", "release", "notify"]
    assert env.calls(refund)[0].at - began == timedelta(days=2, seconds=2)


@pytest.mark.parametrize(
    ("step", "error", "undone", "outcome"),
    [
        (reserve, OutOfStockError("sold out"), [], Outcome("cancelled", "out of stock")),
        (charge, PaymentDeclinedError("no cover"), ["release"], Outcome("cancelled", "payment declined")),
        (ship, UndeliverableError("too far"), ["refund", "release"], Outcome("refunded", "no carrier goes there")),
        (ship, UnavailableError("depot closed"), ["refund", "release"], Outcome("refunded", "ship failed")),
    ],
)
async def test_what_fails_undoes_what_was_done(
    env: TestEnvironment, step: object, error: Exception, undone: list[str], outcome: Outcome
) -> None:
    """And nothing else."""
    env.fake(step, raises=error)  # type: ignore[arg-type] # pyright: ignore
    assert await confirmed(env) == outcome
    assert [name for name in done(env) if name in ("refund", "release")] == undone


async def test_a_payment_is_tried_until_it_is_through(env: TestEnvironment) -> None:
    """With one key, so that the provider takes the money once."""
    env.fake(charge, raises=[UnavailableError("not now")] * 20, returns="payment-21")
    assert (await confirmed(env)).status == "shipped"
    assert len(env.calls(charge)) == 21
    assert len({call.idempotency_key for call in env.calls(charge)}) == 1


async def test_the_worker_may_die_in_the_middle_of_every_step(env: TestEnvironment) -> None:
    """The step is done again, as the same attempt with the same key; the customer sees nothing of it."""
    handle = await env.client.start(checkout)(ORDER)
    await handle.signal(confirmation, True)
    for _ in range(3):
        await env.advance(0.5)
        await env.crash_worker()
        await env.advance(1)
    assert await handle.result() == Outcome("shipped", tracking="parcel-1")
    for step in (reserve, charge, ship):
        first, second = env.calls(step)
        assert (first.attempt, first.idempotency_key) == (second.attempt, second.idempotency_key)
    assert len(env.calls(notify)) == 1


async def test_it_says_what_it_is_doing(env: TestEnvironment) -> None:
    """Step by step."""
    handle = await env.client.start(checkout)(ORDER)
    states = list[str]()
    async with env.frozen():
        for _ in range(3):
            states.append(await handle.query(progress))
            await env.advance("1 s")
    assert states == ["reserving", "charging", "waiting for the customer"]
