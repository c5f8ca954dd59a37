"""The ledger books effects once by key, and the audit finds whatever does not add up."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from audit import Audit, audit
from ledger import Ledger
from orders import Order, Rejection, read_orders
from shop import Outcome


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    books = Ledger(tmp_path / "ledger.db")
    yield books
    books.close()


@pytest.fixture
def order() -> Order:
    return next(entry for entry in read_orders() if isinstance(entry, Order))


Book = Callable[..., bool]


@pytest.fixture
def book(ledger: Ledger, order: Order) -> Book:
    """Books an effect for the order."""

    def book(kind: str, key: str | None = None, note: str = "", cents: int = 500) -> bool:
        call = ledger.begin(kind, order.id, key or kind, 1)
        return ledger.effect(call, "EUR", cents, note)

    return book


def shipped_well(book: Book) -> None:
    for kind in ("reserve", "charge", "ship"):
        book(kind)
    book("notify", note="shipped")


SHIPPED, REFUNDED = Outcome("shipped"), Outcome("refunded", "never confirmed")


def test_a_repeated_key_changes_nothing(ledger: Ledger, book: Book) -> None:
    """The second call with a key is an attempt, not an effect."""
    assert book("charge", key="k")
    assert not book("charge", key="k")
    assert ledger.counts() == {"charge": 1}
    assert ledger.rows("SELECT outcome FROM attempts ORDER BY id") == [("done",), ("repeated",)]


def test_a_call_whose_process_dies_stays_begun(ledger: Ledger, order: Order) -> None:
    """What was begun and never ended can be seen."""
    ledger.begin("charge", order.id, "k", 1)
    assert audit(ledger, [], {}).cut_calls == 1


def test_a_shipped_order_passes(ledger: Ledger, book: Book, order: Order) -> None:
    """Reserved, charged, shipped, told: nothing to find."""
    shipped_well(book)
    found = audit(ledger, [order], {order.id: SHIPPED})
    assert found.problems == []
    assert (found.ended_once, found.charged, found.charged_twice) == (1, 1, 0)
    assert found.ended == {("shipped", ""): 1}
    assert found.money["EUR"].adds_up


def test_a_repeat_after_a_lost_answer_is_not_counted_as_a_kill(ledger: Ledger, book: Book, order: Order) -> None:
    """Only repeats whose first call was answered, to a process that was gone, come from a kill."""
    shipped_well(book)
    book("ship")  # the worker died after the effect
    lost = ledger.begin("charge", order.id, "charge", 1)
    ledger.effect(lost, "EUR", 500, "")
    ledger.end(lost, "lost")
    book("charge")
    found = audit(ledger, [order], {order.id: SHIPPED})
    assert found.problems == []
    assert (found.cut_calls, found.repeated_effects, found.failed_calls) == (1, 1, 1)


def test_rejections_are_counted_by_reason(ledger: Ledger) -> None:
    """Bad lines are part of what was read."""
    entries = [
        Rejection(1, None, "broken JSON", ""),
        Rejection(2, None, "broken JSON", ""),
        Rejection(3, "A", "no items", ""),
    ]
    found = audit(ledger, entries, {})
    assert (found.read, found.bad) == (3, {"broken JSON": 2, "no items": 1})


def only_problem(found: Audit) -> str:
    (problem,) = found.problems
    return problem


def test_a_second_charge_is_found(ledger: Ledger, book: Book, order: Order) -> None:
    """A charge under another key is a second charge: the row, and the money that is too much."""
    shipped_well(book)
    book("charge", key="another")
    found = audit(ledger, [order], {order.id: SHIPPED})
    assert found.charged_twice == 1
    assert any(
        order.id in problem and "was charged 2 times" in problem and "another" in problem for problem in found.problems
    )
    assert any("EUR: charged 1000, refunded 0, shipped 500" in problem for problem in found.problems)


def test_a_charge_without_an_end_is_found(ledger: Ledger, book: Book, order: Order) -> None:
    """Money taken, nothing sent, nothing given back."""
    book("charge", cents=0)
    book("notify", note="cancelled")
    found = audit(ledger, [order], {order.id: Outcome("cancelled")})
    assert found.charged_without_end == 1
    assert "neither shipped nor refunded" in only_problem(found)


def test_an_order_without_an_end_is_found(ledger: Ledger, order: Order) -> None:
    """An order that the shop took and whose outcome is unknown."""
    found = audit(ledger, [order], {})
    assert found.ended_once == 0
    assert only_problem(found).startswith(f"{order.id}: has not ended")


def test_an_order_that_ended_twice_is_found(ledger: Ledger, book: Book, order: Order) -> None:
    """The customer was told two things."""
    shipped_well(book)
    book("notify", key="another", note="refunded")
    found = audit(ledger, [order], {order.id: SHIPPED})
    assert found.ended_once == 0
    assert "was told" in only_problem(found)


def test_a_refund_of_what_was_shipped_is_found(ledger: Ledger, book: Book, order: Order) -> None:
    """Shipped and refunded: the shop has given its goods away."""
    shipped_well(book)
    book("refund")
    found = audit(ledger, [order], {order.id: SHIPPED})
    assert any("shipped 1× and refunded 1×" in problem for problem in found.problems)
    assert not found.money["EUR"].adds_up


def test_goods_that_nobody_released_are_found(ledger: Ledger, book: Book, order: Order) -> None:
    """The saga gave the money back, and forgot the goods."""
    for kind in ("reserve", "charge", "refund"):
        book(kind)
    book("notify", note="refunded")
    assert "still holds goods" in only_problem(audit(ledger, [order], {order.id: REFUNDED}))


def test_effects_that_nobody_ordered_are_found(ledger: Ledger, book: Book, order: Order) -> None:
    """The ledger knows an order that the file does not."""
    book("notify", note="shipped")
    other = replace(order, id="A-0")
    found = audit(ledger, [other], {})
    assert any(f"{order.id}: nobody ordered this" in problem for problem in found.problems)
