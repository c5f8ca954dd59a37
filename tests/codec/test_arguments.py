"""Calls as payloads: each argument by its own type, bound and checked where the call is made."""

import functools
import gc
import json
import sys
import textwrap
import weakref
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable import _limits
from durable.codec import Payload, Signature, default_codec, hints_of, signature_of, untyped_signature
from durable.errors import DecodeError, DefinitionError, EncodeError, InvalidCallError, PayloadTooLargeError

from . import future
from .shapes import Item, Money

CODEC = default_codec()


async def charge(
    item: Item, amount: Decimal, /, when: date | None = None, *tags: str, retry: int = 0, **extra: list[int]
) -> Money: ...


def ship(order: Item, address: str = "") -> None: ...


def loose(a, b=1): ...


class Service:
    def send(self, to: str, count: int) -> bool: ...

    @classmethod
    def make(cls, size: int) -> "Service": ...


CHARGE, SHIP, LOOSE = signature_of(charge), signature_of(ship), signature_of(loose)
items = st.builds(
    Item, st.text(st.characters(codec="utf-8")), st.floats(allow_nan=False, allow_infinity=False), st.integers()
)
decimals = st.decimals(allow_nan=False)


@given(
    item=items, amount=decimals, when=st.none() | st.dates(), tags=st.lists(st.sampled_from("abc")),
    keywords=st.fixed_dictionaries({}, optional={"retry": st.integers(), "x": st.lists(st.integers()), "item": st.just([1])}),
)  # fmt: skip
def test_calls_come_back(
    item: Item, amount: Decimal, when: date | None, tags: list[str], keywords: dict[str, Any]
) -> None:
    """Arguments of every kind come back by their types, positional ones as such."""
    args = (item, amount, when, *tags)
    payload = CHARGE.encode_call(CODEC, args, keywords, what="activity charge")
    assert CHARGE.decode_call(CODEC, payload) == (args, keywords)


def test_the_wire_form_is_plain_json() -> None:
    """Positional arguments in a list, keyword arguments in an object."""
    payload = CHARGE.encode_call(CODEC, (Item("a", 1.5), Decimal("2.50")), {"when": date(2024, 1, 2)}, what="it")
    assert json.loads(payload.data) == [[{"sku": "a", "price": 1.5, "count": 1}, "2.50"], {"when": "2024-01-02"}]
    assert SHIP.encode_call(CODEC, (Item("a", 1.0), "x"), {}, what="it") == Payload(
        b'[[{"sku":"a","price":1.0,"count":1},"x"],{}]'
    )
    assert signature_of(lambda: 1).encode_call(CODEC, (), {}, what="it") == Payload(b"[[],{}]")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "ship() cannot be called like this: missing a required argument: 'order'"),
        ((1, 2, 3), {}, "ship() cannot be called like this: too many positional arguments"),
        ((1,), {"order": 2}, "ship() cannot be called like this: multiple values for argument 'order'"),
        ((1,), {"adress": "x"}, "ship() cannot be called like this: got an unexpected keyword argument 'adress'"),
    ],
)
def test_a_call_that_python_would_refuse_is_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    """The error is of our own class, names the function, and comes before any value is looked at."""
    with pytest.raises(InvalidCallError) as caught:
        SHIP.encode_call(CODEC, args, kwargs, what="activity ship")
    assert str(caught.value) == message


def test_an_argument_that_does_not_fit_is_named() -> None:
    """Position, keyword, *args and **kwargs alike."""
    good = (Item("a", 1.0), Decimal(1))
    for args, kwargs, message in [
        ((42, Decimal(1)), {}, "argument 'item' of activity charge: expected Item, got int"),
        ((Item("a", "x"), Decimal(1)), {}, "argument 'item' of activity charge: $.price: expected float, got str"),
        (good, {"when": "today"}, "argument 'when' of activity charge: expected date, got str"),
        ((*good, None, "a", 2), {}, "argument 'tags[1]' of activity charge: expected str, got int"),
        (good, {"x": [1, "2"]}, "argument 'x' of activity charge: $[1]: expected int, got str"),
        (good, {"x": ["\ud800"]}, "argument 'x' of activity charge: $[0]: expected int, got str"),
        (
            (Item("\ud800", 1.0), Decimal(1)),
            {},
            "argument 'item' of activity charge: $.sku: text with half of a surrogate",
        ),
    ]:
        with pytest.raises(EncodeError) as caught:
            CHARGE.encode_call(CODEC, args, kwargs, what="activity charge")
        assert str(caught.value).startswith(message)


def test_arguments_over_the_limit_are_refused_together() -> None:
    """Each may be under the limit: the sum counts, and the largest is named."""
    text = "x" * (_limits.PAYLOAD_BYTES_MAX // 2)
    with pytest.raises(
        PayloadTooLargeError,
        match=r"arguments of activity loose, most of it argument 'b': 2,\d+,\d+ bytes as JSON, the limit",
    ):
        LOOSE.encode_call(CODEC, (text, text + "y"), {}, what="activity loose")


def test_a_new_optional_parameter_takes_its_default() -> None:
    """A call that was sent for an older version of the function is still a call of it."""

    def ship(order: Item, address: str = "", insured: bool = False) -> None: ...

    payload = SHIP.encode_call(CODEC, (Item("a", 1.0), "x"), {}, what="it")
    assert signature_of(ship).decode_call(CODEC, payload) == ((Item("a", 1.0), "x"), {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"[[],{}]",
            "arguments of ship: missing a required argument: 'order'; they were sent for another version of ship()",
        ),
        (
            b'[[{"sku":"a","price":1},"x",3],{}]',
            "arguments of ship: 3 arguments for 2 parameters; they were sent for another",
        ),
        (
            b'[[{"sku":"a","price":1}],{"adress":"x"}]',
            "arguments of ship: no parameter 'adress'; they were sent for another",
        ),
        (
            b'[[{"sku":"a","price":1}],{"order":{"sku":"a","price":1}}]',
            "arguments of ship: multiple values for argument 'order'",
        ),
        (b'[[{"sku":"a","price":"1"}],{}]', "argument 'order' of ship: $.price: expected float, got str"),
        (b'[[{"sku":"a","price":1}],{},{"0":"pickle"}]', "argument 'order' of ship: expected base64 text"),
        (b'[["AAAA"],{},{"0":"pickle"}]', "argument 'order' of ship: the payload's encoding is 'pickle'"),
        (b"{}", "arguments of ship: expected a list of arguments and an object of keyword arguments"),
        (b"[[],{},{},{}]", "arguments of ship: expected a list of arguments"),
        (b"[", "arguments of ship: the payload is not JSON"),
    ],
)
def test_a_call_that_does_not_fit_the_function_is_refused(data: bytes, message: str) -> None:
    """Whatever is stored, the error is ours and says what does not fit."""
    with pytest.raises(DecodeError) as caught:
        SHIP.decode_call(CODEC, Payload(data))
    assert str(caught.value).startswith(message)


def test_results_by_the_declared_type() -> None:
    """The result is checked and converted like an argument."""
    payload = CHARGE.encode_result(CODEC, Money(Decimal("1.5")), what="result of charge")
    assert CHARGE.decode_result(CODEC, payload, what="it") == Money(Decimal("1.5"))
    with pytest.raises(EncodeError, match="result of activity ship: expected None, got int"):
        SHIP.encode_result(CODEC, 1, what="result of activity ship")
    assert LOOSE.encode_result(CODEC, [1], what="it") == Payload(b"[1]")


def test_self_may_be_skipped() -> None:
    """A method's signature without `self`; bound and class methods have none to skip."""
    signature = signature_of(Service.send, skip_self=True)
    payload = signature.encode_call(CODEC, ("x", 1), {}, what="it")
    assert payload.data == b'[["x",1],{}]'
    assert signature_of(Service().send).decode_call(CODEC, payload) == (("x", 1), {})
    assert signature_of(Service.make).encode_call(CODEC, (1,), {}, what="it").data == b"[[1],{}]"


def test_wrappers_and_partials_are_seen_through() -> None:
    """`functools.wraps` and `functools.partial` keep the hints of the function under them."""

    @functools.wraps(ship)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert hints_of(wrapper).parameters["order"][1] is Item
    partial = functools.partial(charge, Item("a", 1.0))
    assert next(iter(hints_of(partial).parameters)) == "amount"
    assert hints_of(partial).result is Money


def test_callable_objects_and_functions_in_c() -> None:
    """An object has the signature of its `__call__`; a function in C has one without types, or is refused by name."""

    class Caller:
        def __call__(self, item: Item) -> Money: ...

    assert (
        signature_of(Caller()).encode_call(CODEC, (Item("a", 1.0),), {}, what="it").data
        == b'[[{"sku":"a","price":1.0,"count":1}],{}]'
    )
    assert signature_of(Caller()).result is Money
    assert signature_of(len).encode_call(CODEC, ([1],), {}, what="it").data == b"[[[1]],{}]"
    with pytest.raises(DefinitionError, match=r"getattr: its parameters cannot be told"):
        signature_of(getattr).encode_call(CODEC, (1, "real"), {}, what="it")


def test_annotations_as_text() -> None:
    """Names defined further down are found at the first use."""
    signature = signature_of(future.ship)
    value = future.Later("a", future.Later("b"))
    payload = signature.encode_call(CODEC, (value,), {"fast": True}, what="it")
    assert signature.decode_call(CODEC, payload) == ((value,), {"fast": True})
    assert CODEC.decode(Payload(b'{"name":"x"}'), future.Options, what="it") == {"name": "x"}


def test_names_of_the_enclosing_function() -> None:
    """A function and its classes may be local, if its signature is taken while the enclosing function runs."""
    fn, signature, outer = future.local()
    inner = signature.hints.parameters["more"][1].__args__[0]
    value = outer(inner(1))
    payload = signature.encode_call(CODEC, (value, [inner(2)]), {}, what="it")
    assert signature.decode_call(CODEC, payload) == ((value, [inner(2)]), {})
    assert signature.decode_result(CODEC, signature.encode_result(CODEC, value)) == value
    with pytest.raises(DefinitionError, match=r"fn: the type of 'value' is written as 'Outer' and cannot be resolved"):
        hints_of(fn)


def test_values_of_the_enclosing_function_are_not_kept() -> None:
    """A signature keeps types of its surroundings alive, nothing else."""

    class Big:
        pass

    def define() -> tuple[Signature, weakref.ref[Big]]:
        big = Big()

        def fn(value: "Big") -> None: ...

        return signature_of(fn), weakref.ref(big)

    signature, seen = define()
    gc.collect()
    assert seen() is None
    assert signature.hints.parameters["value"][1] is Big


def test_depth_counts_within_a_call() -> None:
    """What is deep enough to be refused is refused by name."""
    deep: list[Any] = []
    for _ in range(253):
        deep = [deep]
    with pytest.raises(EncodeError, match=r"argument 'a' of it: .*nested too deeply"):
        LOOSE.encode_call(CODEC, (deep,), {}, what="it")


def test_an_annotation_that_leads_nowhere_is_named() -> None:
    """The error names function, parameter and annotation, and the remedy."""
    with pytest.raises(
        DefinitionError, match=r"broken: the type of 'price' is written as 'Decimal' .*not under TYPE_CHECKING"
    ):
        signature_of(future.broken).encode_call(CODEC, (1,), {}, what="it")


def test_a_function_known_by_name_takes_anything() -> None:
    """Arguments are written without declared types, the result is read by the type that the caller states."""

    @dataclass
    class Receipt:
        number: int

    signature = untyped_signature(Receipt)
    payload = signature.encode_call(CODEC, (Item("a", 1.0),), {"address": "x"}, what="activity ship")
    assert SHIP.decode_call(CODEC, payload) == ((Item("a", 1.0),), {"address": "x"})
    assert signature.decode_result(CODEC, Payload(b'{"number":7}')) == Receipt(7)
    with pytest.raises(EncodeError, match=r"argument 'args\[0\]' of activity ship: values of type object"):
        signature.encode_call(CODEC, (object(),), {}, what="activity ship")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")
def test_new_generic_syntax() -> None:
    """`type X = ...`, `class C[T]` and `def f[T]` mean what they say, recursive ones too."""
    source = """
        from dataclasses import dataclass
        type Json = dict[str, Json] | list[Json] | str | int | None
        type Two[T] = tuple[T, T]
        @dataclass
        class Node[T]:
            value: T
            next: "Node[T] | None" = None
        def f[T](a: Json, b: Node[int], c: Two[int], d: T) -> Json: ...
    """
    names: dict[str, Any] = {"__name__": __name__}
    exec(textwrap.dedent(source), names)
    node, signature = names["Node"], signature_of(names["f"])
    args = ({"a": [1, None, {"b": "c"}]}, node(1, node(2)), (1, 2), "x")
    payload = signature.encode_call(CODEC, args, {}, what="it")
    assert signature.decode_call(CODEC, payload) == (args, {})
    with pytest.raises(EncodeError, match=r"argument 'b' of it: \$\.next\.value: expected int, got str"):
        signature.encode_call(CODEC, (None, node(1, node("x")), (1, 2), 0), {}, what="it")
