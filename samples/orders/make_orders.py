"""Writes orders.jsonl: 1,200 orders of a shop, 48 of them bad in eight ways. Always the same file.

    python samples/orders/make_orders.py

What the world outside will do with an order can be read in its data (see world.py), as in a payment provider's sandbox:
a card token that is declined, an address that no carrier reaches, goods that are sold out, a customer who does not return.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

ORDERS = 1_200
BAD_EACH = 6  # of each of the eight kinds: 4% of the lines

GOODS = [
    ("TEA-0101", "Green tea, loose, 250 g", "8.90"), ("TEA-0102", "Earl Grey, 40 bags", "5.45"),
    ("TEA-0103", "Rooibos with vanilla, 100 g", "6.20"), ("COF-0201", "Espresso beans, 1 kg", "21.50"),
    ("COF-0202", "Filter coffee, ground, 500 g", "11.90"), ("COF-0203", "Decaf beans, 250 g", "7.80"),
    ("MUG-0301", "Stoneware mug, blue", "14.00"), ("MUG-0302", "Double-wall glass, 2 pieces", "18.95"),
    ("POT-0401", "Cast-iron teapot, 0.8 l", "49.00"), ("POT-0402", "Moka pot, 6 cups", "34.90"),
    ("MIL-0501", "Hand mill, ceramic burrs", "64.50"), ("MIL-0502", "Electric mill", "129.00"),
    ("KET-0601", "Gooseneck kettle, 1 l", "79.90"), ("SCA-0701", "Scale with timer", "39.99"),
    ("FIL-0801", "Paper filters, 100 pieces", "4.25"), ("FIL-0802", "Steel filter", "24.00"),
    ("CHO-0901", "Dark chocolate 72%, 5 bars", "13.75"), ("BIS-0902", "Almond biscotti, 300 g", "6.95"),
    ("TOW-1001", "Linen tea towel", "9.50"), ("GIF-1101", "Gift wrapping", "2.50"),
]  # fmt: skip
SOLD_OUT = ("LAM-0099", "Brass desk lamp (last pieces)", "89.00")
FIRST = [
    "Ada", "Akua", "Alice", "Bruno", "Chiara", "Daniel", "Elif", "Emeka", "Fatima", "Georg", "Hana", "Ines", "Jonas", "Kavita",
    "Lars", "Lucía", "Mateo", "Mei", "Nora", "Olek", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Ursula", "Viktor", "Yusuf", "Zoë",
]  # fmt: skip
LAST = [
    "Adeyemi", "Andersen", "Becker", "Costa", "Dubois", "Eriksson", "Fischer", "García", "Haddad", "Ivanova", "Jansen", "Kowalski",
    "Lindqvist",
    "Moreau", "Nakamura", "O'Brien", "Patel", "Quinn", "Rossi", "Schmidt", "Taylor", "Ueda", "Varga", "Weber", "Yılmaz", "Zhou",
]  # fmt: skip
PLACES = [
    ("10115", "Berlin", "DE", "EUR"), ("20095", "Hamburg", "DE", "EUR"), ("80331", "München", "DE", "EUR"),
    ("75002", "Paris", "FR", "EUR"), ("69001", "Lyon", "FR", "EUR"), ("28013", "Madrid", "ES", "EUR"),
    ("1100-148", "Lisboa", "PT", "EUR"), ("1012 JS", "Amsterdam", "NL", "EUR"), ("EC1A 1BB", "London", "GB", "GBP"),
    ("M1 1AE", "Manchester", "GB", "GBP"), ("EH1 1YZ", "Edinburgh", "GB", "GBP"), ("10001", "New York", "US", "USD"),
    ("60601", "Chicago", "US", "USD"), ("97201", "Portland", "US", "USD"),
]  # fmt: skip
FAR_ISLAND = ("TDCU 1ZZ", "Edinburgh of the Seven Seas", "SH", "GBP")  # no carrier goes there
CLOSED_DEPOT = ("25859", "Hallig Hooge", "DE", "EUR")  # the carrier's depot never answers
STREETS = [
    "Main Street",
    "Station Road",
    "Lindenallee",
    "Rue du Moulin",
    "Calle Mayor",
    "Church Lane",
    "Harbour View",
    "Gartenweg",
]


def main() -> None:
    """Write the file next to this script."""
    rng = Random("orders/1")  # its own generator with a fixed seed: the same file on every machine
    at = datetime(2025, 3, 3, 7, 0, tzinfo=UTC)
    orders: list[dict[str, Any]] = []
    for number in range(ORDERS):
        at += timedelta(seconds=int(rng.random() * 90))
        orders.append(_order(100_001 + number, at, rng))
    lines = [_dumped(order) for order in orders]
    spots = [int((i + 0.2 + 0.6 * rng.random()) * ORDERS / (8 * BAD_EACH)) for i in range(8 * BAD_EACH)]
    for i, spot in enumerate(spots):
        lines[spot] = BAD[i % len(BAD)](orders[spot], orders[max(spot - 7, 0)])
    Path(__file__).with_name("orders.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _order(number: int, at: datetime, rng: Random) -> dict[str, Any]:
    first, last = _one(FIRST, rng), _one(LAST, rng)
    goods = [_one(GOODS, rng) for _ in range(1 + int(rng.random() ** 2 * 4))]
    place, token, hold = (
        _one(PLACES, rng),
        f"tok_{_one(['visa', 'mastercard', 'amex'], rng)}_{1000 + int(rng.random() * 9000)}",
        "10 min",
    )
    fate = rng.random()  # what the world will do with it: about one order in seven does not end well
    if fate < 0.035:
        token = "tok_declined"  # noqa: S105 - the sandbox's name for a card without money
    elif fate < 0.055:
        goods.append(SOLD_OUT)
    elif fate < 0.095:
        hold = "3 s"  # a flash sale, and the customer does not come back
    elif fate < 0.125:
        place = FAR_ISLAND
    elif fate < 0.14:
        place = CLOSED_DEPOT
    items = [
        {"sku": s, "name": n, "quantity": 1 + int(rng.random() ** 3 * 4), "unit_price": p}
        for s, n, p in dict.fromkeys(goods)
    ]
    postcode, city, country, currency = place
    street = f"{_one(STREETS, rng)} {1 + int(rng.random() * 120)}"
    return {
        "id": f"A-{number}",
        "created_at": at.isoformat(),
        "customer": {
            "name": f"{first} {last}",
            "email": f"{_ascii(first)}.{_ascii(last)}@example.{_one(['com', 'org', 'net'], rng)}",
            "address": {"street": street, "postcode": postcode, "city": city, "country": country},
        },
        "currency": currency,
        "items": items,
        "total": str(sum((Decimal(str(i["unit_price"])) * int(str(i["quantity"])) for i in items), Decimal(0))),
        "payment_token": token,
        "hold": hold,
    }


def _one(choices: list[T], rng: Random) -> T:
    return choices[int(rng.random() * len(choices))]  # only .random() is the same in every version of Python


def _ascii(name: str) -> str:
    table = str.maketrans("áíøëıZ", "aioeiz", "'")
    return name.translate(table).lower()


def _dumped(order: dict[str, Any]) -> str:
    return json.dumps(order, ensure_ascii=False)


def _negative_quantity(order: dict[str, Any], _: dict[str, Any]) -> str:
    return _dumped({**order, "items": [{**order["items"][0], "quantity": -2}, *order["items"][1:]]})


def _missing_price(order: dict[str, Any], _: dict[str, Any]) -> str:
    item = {key: value for key, value in order["items"][0].items() if key != "unit_price"}
    return _dumped({**order, "items": [item, *order["items"][1:]]})


def _unknown_currency(order: dict[str, Any], _: dict[str, Any]) -> str:
    return _dumped({**order, "currency": "EURO"})


def _malformed_email(order: dict[str, Any], _: dict[str, Any]) -> str:
    customer = {**order["customer"], "email": order["customer"]["email"].replace("@", " at ")}
    return _dumped({**order, "customer": customer})


def _wrong_total(order: dict[str, Any], _: dict[str, Any]) -> str:
    return _dumped({**order, "total": str(Decimal(order["total"]) + Decimal("0.10"))})


def _no_items(order: dict[str, Any], _: dict[str, Any]) -> str:
    return _dumped({**order, "items": []})


def _duplicate(_: dict[str, Any], earlier: dict[str, Any]) -> str:
    return _dumped(earlier)


def _broken_json(order: dict[str, Any], _: dict[str, Any]) -> str:
    return _dumped(order)[:-17]  # as after a full disk


BAD: list[Callable[[dict[str, Any], dict[str, Any]], str]] = [
    _negative_quantity, _missing_price, _unknown_currency, _malformed_email, _wrong_total, _no_items, _duplicate, _broken_json,
]  # fmt: skip

if __name__ == "__main__":
    main()
