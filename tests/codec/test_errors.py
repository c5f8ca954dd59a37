"""What cannot be encoded or decoded is refused with an error that names the place and the types, and shows no value."""

import sys
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from durable import _limits
from durable.codec import Payload, default_codec
from durable.errors import DecodeError, DefinitionError, EncodeError, PayloadTooLargeError

from .shapes import Admin, Car, Color, Item, Money, Movie, Order, Point, Positive, SpecialOrder, Tree, User

CODEC = default_codec()
WHAT = "argument 'order' of activity charge"
SECRET = "hunter2-secret"
ID = UUID(int=1)
NOON = datetime(2024, 1, 1, 12)


class Plain:
    def __repr__(self) -> str:
        return SECRET


class Loud(Protocol):
    def shout(self) -> str: ...


@dataclass
class Seeded:
    seed: InitVar[int]


@dataclass
class Holder:
    content: Plain


def refusal(value: Any, hint: Any) -> str:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value, hint, what=WHAT)
    message = str(caught.value)
    assert message.startswith(f"{WHAT}: ")
    assert SECRET not in message
    assert caught.value.__cause__ is None
    return message.removeprefix(f"{WHAT}: ")


def order(**changes: Any) -> Order:
    return Order(**{"id": ID, "items": [Item("a", 1.0)], "placed": NOON, **changes})


def cyclic() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def deep(levels: int) -> list[Any]:
    items: list[Any] = []
    for _ in range(levels):
        items = [items]
    return items


MISFITS: list[tuple[Any, Any, str]] = [
    (42, Order, "expected Order, got int"),
    ("1", int, "expected int, got str"),
    (1.0, int, "expected int, got float"),
    (1, bool, "expected bool, got int"),
    (1, str, "expected str, got int"),
    (None, int, "expected int, got None"),
    (1, None, "expected None, got int"),
    ("1.5", float, "expected float, got str"),
    (10**400, float, "expected float, got an int beyond the range of float"),
    (1.5, Decimal, "expected Decimal, got float"),
    (NOON, date, "expected date, got datetime"),
    ("2024-01-01", date, "expected date, got str"),
    (str(ID), UUID, "expected UUID, got str"),
    ("red", Color, "expected Color, got str"),
    (b"x", str, "expected str, got bytes"),
    ("/tmp", PurePosixPath, "expected PurePosixPath, got str"),
    ((1, 2), list[int], "expected list[int], got tuple"),
    ([1], tuple[int], "expected tuple[int], got list"),
    ((1, 2), tuple[int], "expected 1 elements, got 2"),
    ([1, "2"], list[int], "$[1]: expected int, got str"),
    ({"a": 1, "b": SECRET}, dict[str, int], "$.b: expected int, got str"),
    ({SECRET: None}, dict[str, int], "$[key 0]: expected int, got None"),
    ({1: 1}, dict[str, int], "$[key 0]: expected str, got int"),
    ({"a"}, set[int], "$[0]: expected int, got str"),
    ([Item("a", SECRET)], list[Item], "$[0].price: expected float, got str"),
    (order(items=[Item("a", 1.0), Item("b", "x")]), Order, "$.items[1].price: expected float, got str"),
    (order(notes={"gift": 1}), Order, "$.notes.gift: expected str, got int"),
    (order(total=1), Order, "$.total: expected Money, got int"),
    (SpecialOrder(id=ID, items=[], placed=NOON), Order, "expected Order, got its subclass SpecialOrder, which would come back as Order"),
    (Point(1, "x"), Point, "$.y: expected float, got str"),
    ((1, 2.0, None), Point, "expected Point, got tuple"),
    ({"title": "x", SECRET: 1}, Movie, "expected Movie, got keys that it does not declare"),
    ({}, Movie, "the field 'title' of Movie is missing"),
    ({"title": 1}, Movie, "$.title: expected str, got int"),
    (Car(1), Car, "$.brand: expected str, got int"),
    (User.model_construct(id="x"), User, "$.id: not valid for User (uuid_parsing)"),
    (Admin(id=ID), User, "expected User, got its subclass Admin"),
    (1.5, int | str, "expected int | str, got float"),
    (Item("a", SECRET), Item | Money, "$.price: expected float, got str"),
    ("c", __import__("typing").Literal["a", "b"], "expected one of the 2 values of a Literal of str, got another str"),
    (Tree(1, [Tree(2, [Tree("x")])]), Tree, "$.children[0].children[0].value: expected int, got str"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "hint", "message"), MISFITS, ids=[m for *_, m in MISFITS])
def test_a_value_that_does_not_fit_is_refused_where_it_is_passed(value: Any, hint: Any, message: str) -> None:
    """The error names what, the path and the types."""
    assert refusal(value, hint).startswith(message)


UNSUPPORTED: list[tuple[Any, Any, str]] = [
    (Plain(), Any, "values of type Plain cannot be kept as JSON; declare a dataclass"),
    (Plain(), Plain, "values of type Plain cannot be kept as JSON"),
    (1, Plain, "expected Plain, got int"),
    ([{"db": {"pool": Plain()}}], Any, "$[0].db.pool: values of type Plain cannot be kept as JSON"),
    (Holder(Plain()), Holder, "$.content: values of type Plain"),
    (Holder(Plain()), Any, "$.content: values of type Plain"),
    (print, Callable[..., None], "values of type "),
    (Plain(), Loud, "values of type Loud cannot be kept"),
    (lambda: 1, Any, "values of type function cannot be kept"),
    (Seeded(1), Seeded, "Seeded cannot be made again: its InitVar 'seed' is not kept"),
    ({1: 2}, Any, "$[key 0]: a key of type int is kept only if the mapping's type is declared"),
    ([float("nan")], Any, "$[0]: a float that is not finite is kept only if it is declared as float"),
    (2**64, Any, "an int beyond 64 bits is kept only if it is declared as int"),
    (User(id=ID, name="x", scores={"a": float("nan")}), User, "$.scores.a: not valid for User (float_type)"),
    ("\ud800", str, "text with half of a surrogate pair"),
    ({"a": ["\udcff"]}, Any, "$.a[0]: text with half of a surrogate pair"),
    ({"\ud800": 1}, dict[str, int], "$[key 0]: text with half of a surrogate pair"),
    (cyclic(), Any, "the value is nested too deeply, or contains itself"),
    (cyclic(), list[Any], "the value is nested too deeply, or contains itself"),
    (time(1, tzinfo=ZoneInfo("Europe/Berlin")), time, "a time whose zone has no fixed offset"),
]


@pytest.mark.parametrize(("value", "hint", "message"), UNSUPPORTED, ids=[m for *_, m in UNSUPPORTED])
def test_a_value_that_json_cannot_hold_is_refused(value: Any, hint: Any, message: str) -> None:
    """Nothing is dropped or rounded without a word."""
    assert refusal(value, hint).startswith(message)


def test_the_path_costs_no_more_than_the_value() -> None:
    """A misfit deep inside is found in one pass: a second one for each level would never end here."""
    value, tree = [Plain()], Tree("x")
    for _ in range(60):
        value, tree = [value], Tree(1, [tree])
    assert refusal(value, Any).startswith("$" + "[0]" * 61 + ": values of type Plain")
    assert refusal(tree, Tree) == "$" + ".children[0]" * 60 + ".value: expected int, got str"
    data = b"[" * 61 + b'"x"' + b"]" * 61
    hint: Any = int
    for _ in range(61):
        hint = list[hint]
    with pytest.raises(DecodeError, match=r"\$(\[0\]){61}: expected int, got str"):
        CODEC.decode(Payload(data), hint, what=WHAT)


class Faulty(dict[str, int]):
    def items(self) -> Any:
        raise ZeroDivisionError(SECRET)


def test_what_a_values_own_code_raises_is_an_error_of_ours() -> None:
    """The error names the place, not what the code said."""
    assert refusal(Faulty(a=1), dict[str, Any]) == "its conversion raised ZeroDivisionError"
    assert refusal([Faulty(a=1)], Any) == "its conversion raised ZeroDivisionError"


def test_too_deep_a_value_is_refused() -> None:
    """Beyond what the JSON writer takes, the error says so."""
    assert refusal(deep(300), Any).endswith("the value is nested too deeply, or contains itself")
    assert refusal(deep(sys.getrecursionlimit()), Any) == "the value is nested too deeply, or contains itself"
    assert CODEC.decode(CODEC.encode(deep(100), Any, what=WHAT), Any, what=WHAT) == deep(100)


def test_too_large_a_value_is_refused_with_both_sizes() -> None:
    """The limit is on the JSON text."""
    limit = _limits.PAYLOAD_BYTES_MAX
    assert len(CODEC.encode("x" * (limit - 2), str, what=WHAT).data) == limit
    with pytest.raises(PayloadTooLargeError) as caught:
        CODEC.encode("x" * (limit - 1), str, what=WHAT)
    assert str(caught.value).startswith(
        f"{WHAT}: {limit + 1:,} bytes as JSON, the limit is {limit:,} bytes; store it elsewhere"
    )


ORDER = b'{"id":"00000000-0000-0000-0000-000000000001","placed":"2024-01-01T00:00:00","items":[%b]}'

UNFIT: list[tuple[bytes, Any, str]] = [
    (b'"1"', int, "expected int, got str"),
    (b"1.0", int, "expected int, got float"),
    (b"true", int, "expected int, got bool"),
    (b"1", bool, "expected bool, got int"),
    (b"1", str, "expected str, got int"),
    (b'"x"', float, "expected float, got str"),
    (b"null", int, "expected int, got None"),
    (b"0", None, "expected None, got int"),
    (b'"hunter2-secret"', date, "expected date, got other text"),
    (b'"2024-01-01"', datetime, "expected datetime, got other text"),
    (b'"hunter2-secret"', UUID, "expected UUID, got other text"),
    (b'"hunter2-secret"', Decimal, "expected Decimal, got other text"),
    (b'"hunter2-secret"', bytes, "expected bytes, got other text"),
    (b'"hunter2-secret"', Color, "expected a member of Color, got a str that is none"),
    (b"1", Color, "expected Color, got int"),
    (b'[{"sku":"a","price":1},{"sku":"b","price":1},{"sku":"d","price":"hunter2-secret"}]', list[Item],
     "$[2].price: expected float, got str"),
    (b'{"items":[{"sku":"a","price":1},{"sku":"b","price":"hunter2-secret"}]}', Order,
     "the field 'id' of Order is missing"),
    (ORDER % b'{"sku":"a","price":1},{"sku":"b","price":1},{"sku":"c","price":1},{"sku":"d","price":"hunter2-secret"}', Order,
     "$.items[3].price: expected float, got str"),
    (b'"hunter2-secret"', timedelta, "expected timedelta, got other text"),
    (b'{"sku":"a"}', Item, "the field 'price' of Item is missing"),
    (b'[{"sku":"a"}]', list[Item], "$[0]: the field 'price' of Item is missing"),
    (b'[["a",1]]', list[Item], "$[0]: expected Item, got list"),
    (b'{"number":-7}', Positive, "Positive refused its fields with ValueError"),
    (b"[[1]]", set[Any], "expected set[Any], got elements that cannot be hashed"),
    (b"[1,2]", tuple[int], "expected 1 elements, got 2"),
    (b'{"01":1}', dict[int, int], "$[key 0]: expected an int as key, got other text"),
    (b'{"hunter2-secret":1}', dict[str, str], "$[key 0]: expected str, got int"),
    (b'{"$type":"Item","$value":{"sku":1}}', Item | Money, "$.sku: expected str, got int"),
    (b"[]", Item | Money, "expected Item | Money, got list"),
    (b'{"id":"hunter2-secret"}', User, "$.id: not valid for User (uuid_parsing)"),
    (b"{}", Plain, "values of type Plain cannot be kept as JSON"),
    (b"{", int, "the payload is not JSON"),
    (b'"\xff"', str, "the payload is not JSON"),
    (b"", Any, "the payload is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "hint", "message"), UNFIT, ids=[m for *_, m in UNFIT])
def test_a_payload_that_does_not_fit_is_refused_with_its_path(data: bytes, hint: Any, message: str) -> None:
    """Reading is strict: no text is a number, no number text."""
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(Payload(data), hint, what=WHAT)
    assert str(caught.value).startswith(f"{WHAT}: {message}")
    assert SECRET not in str(caught.value)


def test_another_codecs_payload_is_refused() -> None:
    """The error names the encoding."""
    with pytest.raises(
        DecodeError, match="the payload's encoding is 'pickle'; give this process the codec that wrote it"
    ):
        CODEC.decode(Payload(b"x", "pickle"), Any, what=WHAT)


def test_a_class_whose_annotations_lead_nowhere_is_named() -> None:
    """The error names the class, the field and the annotation."""

    @dataclass
    class Lost:
        first: int
        second: "Missing | None"  # noqa: F821

    with pytest.raises(
        DefinitionError, match=r"Lost: the type of 'second' is written as 'Missing | None'.*name 'Missing'"
    ):
        CODEC.encode(Lost(1, None), Lost, what=WHAT)
