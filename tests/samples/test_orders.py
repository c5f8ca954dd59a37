"""The sample shop's data: good orders are read, bad ones are turned away with a reason, and the file is reproducible."""

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import orders
import pytest
from orders import Order, Rejection, read_orders
from shop import wrong_with

GOOD = {
    "id": "A-1",
    "created_at": "2025-03-03T07:00:23+00:00",
    "customer": {
        "name": "Ada Weber",
        "email": "ada@example.org",
        "address": {"street": "Main Street 1", "postcode": "10115", "city": "Berlin", "country": "DE"},
    },
    "currency": "EUR",
    "items": [{"sku": "TEA-1", "name": "Tea", "quantity": 2, "unit_price": "6.20"}],
    "total": "12.40",
    "payment_token": "tok_visa_1",
    "hold": "10 min",
}


def read(path: Path, *lines: object) -> list[Order | Rejection]:
    """Write each of `lines`, text as it is and anything else as JSON, and read the file."""
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return list(read_orders(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


def test_a_good_line_is_an_order(file: Path) -> None:
    """Prices are exact decimals, and the total is known in cents."""
    (order,) = read(file, GOOD)
    assert isinstance(order, Order)
    assert order.items[0].unit_price == Decimal("6.20")
    assert order.cents == 1240
    assert wrong_with(order) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"items": []}, "no items"),
        ({"items": "tea"}, "no items"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": -2, "unit_price": "1.00"}]}, "impossible quantity"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": True, "unit_price": "1.00"}]}, "impossible quantity"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": 1}]}, "missing price"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": 1, "unit_price": 1.5}]}, "missing price"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": 1, "unit_price": "NaN"}]}, "missing price"),
        ({"items": [{"sku": "T", "name": "Tea", "quantity": 1, "unit_price": "1e400"}]}, "missing price"),
        ({"items": ["tea"]}, "missing field"),
        ({"total": "1.005"}, "missing price"),
        ({"total": "-1.00"}, "missing price"),
        ({"customer": None}, "missing field"),
        ({"customer": {**GOOD["customer"], "email": "ada at example.org"}}, "malformed e-mail"),  # type: ignore[dict-item]
        ({"created_at": "yesterday"}, "missing field"),
        ({"created_at": "2025-03-03T07:00:23"}, "missing field"),
        ({"currency": None}, "missing field"),
        ({"id": 7}, "missing field"),
    ],
)
def test_a_bad_line_is_turned_away_with_a_reason(file: Path, change: dict[str, object], reason: str) -> None:
    """Whatever is wrong with a line, reading goes on with the next one."""
    bad, good = read(file, {**GOOD, **change}, {**GOOD, "id": "A-2"})
    assert isinstance(bad, Rejection)
    assert (bad.line, bad.reason) == (1, reason)
    assert isinstance(good, Order)


@pytest.mark.parametrize(("text", "reason"), [("{", "broken JSON"), ("[1]", "missing field"), ("7", "missing field")])
def test_a_line_that_is_no_object_is_turned_away(file: Path, text: str, reason: str) -> None:
    """A line cut off in the middle, or some other JSON, is a rejection without an id."""
    (bad,) = read(file, text)
    assert isinstance(bad, Rejection)
    assert (bad.order_id, bad.reason) == (None, reason)


def test_the_second_line_of_an_id_is_turned_away(file: Path) -> None:
    """An order that stands in the file twice is taken once."""
    first, second = read(file, GOOD, GOOD)
    assert isinstance(first, Order)
    assert second == Rejection(2, "A-1", "duplicate id", "A-1")


@pytest.mark.parametrize(
    ("change", "problem"), [({"currency": "EURO"}, "unknown currency"), ({"total": "12.50"}, "total does not add up")]
)
def test_the_workflow_finds_what_the_form_does_not_show(file: Path, change: dict[str, object], problem: str) -> None:
    """An order whose form is right may still be wrong."""
    (order,) = read(file, {**GOOD, **change})
    assert isinstance(order, Order)
    assert wrong_with(order) == problem


def test_the_file_has_what_the_demo_needs() -> None:
    """At least 1,000 orders, and 4% bad data of eight kinds."""
    entries = list(read_orders())
    bad = Counter(entry.reason for entry in entries if isinstance(entry, Rejection))
    bad.update(problem for entry in entries if isinstance(entry, Order) and (problem := wrong_with(entry)))
    assert len(entries) == 1_200
    assert sorted(bad) == [
        "broken JSON", "duplicate id", "impossible quantity", "malformed e-mail", "missing price", "no items",
        "total does not add up", "unknown currency",
    ]  # fmt: skip
    assert set(bad.values()) == {6}


def test_only_the_first_lines_are_read_if_asked() -> None:
    """`lines` counts lines of the file, bad ones included."""
    assert len(list(read_orders(lines=40))) == 40
    assert any(isinstance(entry, Rejection) for entry in read_orders(lines=40))


def test_the_script_writes_the_same_file_again(tmp_path: Path, samples: Path) -> None:
    """What is in the repository is what the script makes, to the byte."""
    script = tmp_path / "make_orders.py"
    script.write_bytes((samples / "orders" / "make_orders.py").read_bytes())
    subprocess.run([sys.executable, str(script)], check=True)
    assert (tmp_path / "orders.jsonl").read_bytes() == orders.ORDERS_FILE.read_bytes()
