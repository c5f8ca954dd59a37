"""The orders as they come in: what a good one looks like, and why a bad one is turned away.

Plain Python: nothing here knows that the shop is durable.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

ORDERS_FILE = Path(__file__).with_name("orders.jsonl")
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One position of an order."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class Address:
    """Where the parcel goes."""

    street: str
    postcode: str
    city: str
    country: str


@dataclass(frozen=True)
class Customer:
    """Who ordered."""

    name: str
    email: str
    address: Address


@dataclass(frozen=True)
class Order:
    """An order whose form is right. `hold` is how long the goods are held until the customer confirms."""

    id: str
    created_at: datetime
    customer: Customer
    currency: str
    items: tuple[Item, ...]
    total: Decimal
    payment_token: str
    hold: str

    @property
    def cents(self) -> int:
        """The total in the currency's smallest unit."""
        return int(self.total * 100)


@dataclass(frozen=True)
class Rejection:
    """A line of the file that is no order. `order_id` is None if not even the id can be read."""

    line: int
    order_id: str | None
    reason: str
    detail: str


class BadOrderError(ValueError):
    """The data is no order. `reason` is one of a few, to count by; the message has the value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def read_orders(path: Path = ORDERS_FILE, *, lines: int | None = None) -> Iterator[Order | Rejection]:
    """Yield an order or a rejection for each of the first `lines` lines of a JSON Lines file, in order."""
    seen: set[str] = set()
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if lines is not None and number > lines:
                return
            order_id = None
            try:
                data = _parsed(text)
                order_id = _text(data, "id")
                if order_id in seen:
                    raise BadOrderError("duplicate id", order_id)
                seen.add(order_id)
                yield _order(order_id, data)
            except BadOrderError as error:
                yield Rejection(number, order_id, error.reason, error.detail)


def _parsed(text: str) -> Mapping[str, object]:
    try:
        return _mapping(json.loads(text), "order")
    except json.JSONDecodeError as error:
        raise BadOrderError("broken JSON", f"{error.msg} at column {error.colno}") from None


def _order(order_id: str, data: Mapping[str, object]) -> Order:
    customer = _mapping(data.get("customer"), "customer")
    address = _mapping(customer.get("address"), "address")
    items = data.get("items")
    if not isinstance(items, list) or not items:
        raise BadOrderError("no items", f"items is {items!r}")
    return Order(
        id=order_id,
        created_at=_moment(data),
        customer=Customer(
            name=_text(customer, "name"),
            email=_email(customer),
            address=Address(**{key: _text(address, key) for key in ("street", "postcode", "city", "country")}),
        ),
        currency=_text(data, "currency"),
        items=tuple(_item(_mapping(item, "item")) for item in cast(list[object], items)),
        total=_money(data, "total"),
        payment_token=_text(data, "payment_token"),
        hold=_text(data, "hold"),
    )


def _item(data: Mapping[str, object]) -> Item:
    quantity = data.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        raise BadOrderError("impossible quantity", f"{quantity!r} of {data.get('sku')}")
    return Item(_text(data, "sku"), _text(data, "name"), quantity, _money(data, "unit_price"))


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadOrderError("missing field", f"{what} is {value!r}")
    return cast(dict[str, object], value)


def _text(data: Mapping[str, object], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise BadOrderError("missing field", f"{key} is {value!r}")
    return value


def _money(data: Mapping[str, object], key: str) -> Decimal:
    value = data.get(key)
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        raise BadOrderError("missing price", f"{key} is {value!r}")
    return Decimal(value)


def _email(data: Mapping[str, object]) -> str:
    value = _text(data, "email")
    if not _EMAIL.fullmatch(value):
        raise BadOrderError("malformed e-mail", repr(value))
    return value


def _moment(data: Mapping[str, object]) -> datetime:
    value = _text(data, "created_at")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadOrderError("missing field", f"created_at is {value!r}")
    return moment
