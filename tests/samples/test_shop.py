"""The shop's checkout, on a real worker: each kind of order comes to the end that it must, and the ledger agrees."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import shop
import world
from audit import audit
from feed import customer_returns, feed
from ledger import Ledger
from orders import Order, read_orders
from shop import Outcome, checkout, confirmation, progress
from worker import ACTIVITIES

from durable import Client, Worker
from tests.scenario_store import EVERYWHERE, scenario_url

ORDERS = [entry for entry in read_orders() if isinstance(entry, Order)]


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger of this test, and a world that answers at once."""
    monkeypatch.setenv("SHOP_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("SHOP_LATENCY", "0")
    world.ledger.cache_clear()
    world._latency_s.cache_clear()
    yield world.ledger()
    world.ledger().close()
    world.ledger.cache_clear()
    world._latency_s.cache_clear()


@pytest.fixture(params=EVERYWHERE)
def store(request: pytest.FixtureRequest) -> str:
    """The URL of a store of this test."""
    return scenario_url(request.param)


def must_end_as(order: Order) -> Outcome:
    """What the data of an order says about its end."""
    if problem := shop.wrong_with(order):
        return Outcome("rejected", problem)
    if any(item.sku == world.SOLD_OUT for item in order.items):
        return Outcome("cancelled", "out of stock")
    if order.payment_token == world.DECLINED:
        return Outcome("cancelled", "payment declined")
    if not customer_returns(order):
        return Outcome("refunded", "never confirmed")
    if order.customer.address.postcode == world.NO_CARRIER:
        return Outcome("refunded", "no carrier goes there")
    if order.customer.address.postcode == world.DEPOT_CLOSED:
        return Outcome("refunded", "ship failed")
    return Outcome("shipped")


ENDS = sorted({(end.status, end.reason) for end in map(must_end_as, ORDERS)})


class Bell:
    """Counts what the feed tells."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[str] = []

    def started(self, order: Order) -> None:
        self.begun.append(order.id)

    def ended(self, order: Order, outcome: Outcome) -> None:
        self.over.append(order.id)


async def test_each_kind_of_order_comes_to_its_end(store: str, ledger: Ledger) -> None:
    """Three orders of each kind, all at once: as the data says, and as the ledger proves."""
    kinds = {end: [o for o in ORDERS if (must_end_as(o).status, must_end_as(o).reason) == end][:3] for end in ENDS}
    chosen = [order for some in kinds.values() for order in some]
    bell = Bell()
    async with Client.connect(store) as client, Worker(client, workflows=[checkout], activities=ACTIVITIES):
        outcomes = await feed(client, chosen, bell, at_once=len(chosen))
    for order in chosen:
        assert replace(outcomes[order.id], tracking="") == must_end_as(order), order.id
        assert bool(outcomes[order.id].tracking) == (outcomes[order.id].status == "shipped")
    found = audit(ledger, chosen, outcomes)
    assert found.problems == []
    assert found.ended_once == len(chosen)
    assert Counter(bell.begun) == Counter(bell.over) == Counter(order.id for order in chosen)


async def test_a_cancelled_order_is_undone(store: str, ledger: Ledger) -> None:
    """Who cancels the run while it waits for the customer gets money and goods back."""
    order = next(order for order in ORDERS if must_end_as(order).status == "shipped")
    async with Client.connect(store) as client, Worker(client, workflows=[checkout], activities=ACTIVITIES):
        handle = await client.start(checkout, id=order.id)(order)
        while await handle.query(progress) != "waiting for the customer":
            pass
        await handle.cancel()
        with pytest.raises(Exception, match="cancel"):
            await handle.result()
    assert ledger.counts() == {"reserve": 1, "charge": 1, "refund": 1, "release": 1}


async def test_a_feed_may_be_begun_again(store: str, ledger: Ledger) -> None:
    """A second feed finds the runs of the first one: nothing is started, and nothing done, twice."""
    chosen = [order for order in ORDERS if must_end_as(order).status in ("shipped", "rejected")][:20]
    async with Client.connect(store) as client, Worker(client, workflows=[checkout], activities=ACTIVITIES):
        outcomes = await feed(client, chosen, Bell())
        before = ledger.counts()
        assert await feed(client, chosen, Bell()) == outcomes
        assert await client.count() == {"completed": len(chosen)}
    assert ledger.counts() == before


async def test_the_state_of_an_order_can_be_asked_for(store: str) -> None:
    """The query tells where the order stands, also after its end."""
    order = next(order for order in ORDERS if must_end_as(order).status == "shipped")
    async with Client.connect(store) as client, Worker(client, workflows=[checkout], activities=ACTIVITIES):
        handle = await client.start(checkout, id=order.id)(order)
        await handle.signal(confirmation, True)
        await handle.result()
        assert await handle.query(progress) == "shipping"


def test_an_outcome_names_its_reason() -> None:
    """Each refusal has words of its own."""
    reasons = {
        shop.reason_of(error)
        for error in (world.OutOfStockError(), world.PaymentDeclinedError(), world.UndeliverableError())
    }
    assert reasons == {"out of stock", "payment declined", "no carrier goes there"}
    assert shop.reason_of(TimeoutError()) == "never confirmed"
