"""What comes back equals what went in, for every type that an author may declare."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, get_args, get_origin
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import Payload, default_codec
from durable.codec._json import load
from durable.codec._types import plan_of

from . import shapes
from .shapes import (
    HINTS,
    PATHS,
    Access,
    Admin,
    Box,
    Car,
    Color,
    Ids,
    IntBox,
    Item,
    Level,
    Mixed,
    Money,
    Order,
    Packet,
    Pair,
    Point,
    Sized,
    Sku,
    Team,
    Tree,
    User,
    Word,
)  # fmt: skip

CODEC = default_codec()
ID = UUID(int=7)

# Offsets of whole seconds, as ISO 8601 text has them; NaN is tested apart, since it does not equal itself.
offsets = st.integers(-86_399, 86_399).map(lambda s: timezone(timedelta(seconds=s)))
datetimes = st.datetimes() | st.datetimes(timezones=st.just(UTC) | offsets)
floats = st.floats(allow_nan=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
decimals = st.decimals(allow_nan=False)
trees = st.recursive(
    st.builds(Tree, st.integers()), lambda t: st.builds(Tree, st.integers(), st.lists(t, max_size=3), st.none() | t)
)

for cls, strategy in {
    datetime: datetimes, float: floats, str: texts, Decimal: decimals, Tree: trees, Sku: texts,
    shapes.Access: st.sampled_from([Access(0), Access.READ, Access.READ | Access.WRITE]),
}.items():  # fmt: skip
    st.register_type_strategy(cls, strategy)


def boxes(hint: Any) -> st.SearchStrategy[Any]:
    content = st.from_type(get_args(hint)[0])
    second = {"second": st.none() | content} if get_origin(hint) is Pair else {}
    return st.builds(get_origin(hint), content, st.lists(content, max_size=3), **second)


st.register_type_strategy(Box, boxes)
st.register_type_strategy(Pair, boxes)
st.register_type_strategy(IntBox, st.builds(IntBox, st.integers(), st.lists(st.integers(), max_size=3), texts))


def round_trip(value: Any, hint: Any) -> Any:
    payload = CODEC.encode(value, hint, what="it")
    assert payload.encoding == "json"
    json.loads(payload.data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return CODEC.decode(payload, hint, what="it")


@pytest.mark.parametrize("hint", HINTS, ids=str)
@given(data=st.data())
def test_every_type_comes_back_equal_and_of_its_class(hint: Any, data: st.DataObject) -> None:
    """A value comes back equal, and of the same class; our own plan reads the same as msgspec, which reads for it where it can."""
    value = data.draw(st.none() if hint is None else st.from_type(hint))
    back = round_trip(value, hint)
    assert back == value
    assert type(back) is type(value)
    data_of_it = json.loads(CODEC.encode(value, hint, what="it").data)
    assert load(data_of_it, plan_of(hint), "it") == value


@pytest.mark.parametrize(
    "hint", [shapes.Item, list[shapes.Item], dict[str, float], tuple[int, str], int | None], ids=str
)
def test_msgspec_reads_what_it_can(hint: Any) -> None:
    """The fast reader is in use for plain types (else the test of its agreement tests nothing)."""
    assert plan_of(hint).plain


@given(value=datetimes)
def test_datetimes_keep_microseconds_and_offset(value: datetime) -> None:
    """A datetime comes back equal, with the same offset, or none."""
    back = round_trip(value, datetime)
    assert back == value
    assert back.utcoffset() == value.utcoffset()


@given(value=st.timedeltas())
def test_timedeltas_are_exact(value: timedelta) -> None:
    """A duration comes back to the microsecond, negative and huge ones too."""
    assert round_trip(value, timedelta) == value


@given(value=st.decimals())
def test_decimals_are_exact(value: Decimal) -> None:
    """A decimal keeps its digits, exponent and sign, NaN included."""
    assert round_trip(value, Decimal).as_tuple() == value.as_tuple()


@given(value=st.integers() | st.integers(2**63 - 2, 2**64 + 2) | st.integers(-(2**200), 2**200))
def test_ints_of_any_size_are_exact(value: int) -> None:
    """An int beyond 64 bits comes back exactly, although JSON readers would round it."""
    assert round_trip(value, int) == value
    assert round_trip([value], list[int]) == [value]
    assert round_trip({value: 1}, dict[int, int]) == {value: 1}


@pytest.mark.parametrize("hint", [float, float | None, float | str, int | float, list[float] | float], ids=str)
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), -0.0, 5e-324])
def test_floats_that_json_lacks(hint: Any, value: float) -> None:
    """Infinity and NaN come back under a declared float, alone and within a union."""
    back = round_trip(value, hint)
    assert type(back) is float
    assert repr(back) == repr(value)
    assert [repr(v) for v in round_trip([value], list[float])] == [repr(value)]


@pytest.mark.parametrize("hint", PATHS, ids=str)
def test_paths(hint: Any) -> None:
    """A path comes back as the class that was declared."""
    values = {
        Path: Path("/a/b"), PurePath: PurePath("a"), PurePosixPath: PurePosixPath("/x"), PureWindowsPath: PureWindowsPath("c:/x"),
        Path | str: Path("a"), Path | None: Path("."), dict[str, Path]: {"a": Path("b")},
    }  # fmt: skip
    back = round_trip(values[hint], hint)
    assert back == values[hint]
    assert type(back) is type(values[hint])


users = st.builds(
    User, id=st.uuids(), userName=texts, born=st.none() | st.dates(),
    scores=st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)  # fmt: skip


@given(user=users)
def test_pydantic_models(user: User) -> None:
    """A model comes back equal, by field name whatever its aliases are; generics and root models too."""
    assert round_trip(user, User) == user
    assert round_trip([user], list[User]) == [user]
    team = Team[int](members=[user], extra=3)
    assert round_trip(team, Team[int]) == team
    assert round_trip(Team[Any](members=[user], extra=[1]), Team) == Team(members=[user], extra=[1])
    assert round_trip(Ids([1, 2]), Ids) == Ids([1, 2])


def test_a_union_of_pydantic_models_is_told_apart_by_class() -> None:
    """Two models with the same fields, one the base of the other, come back as what they were."""
    for value in (User(id=ID), Admin(id=ID, rights={"all"}), Admin(id=ID)):
        back = round_trip([value], list[User | Admin])[0]
        assert back == value
        assert type(back) is type(value)


def test_msgspec_structs() -> None:
    """A struct comes back."""
    assert round_trip(Packet(b"\0", datetime(2024, 1, 1)), Packet) == Packet(b"\0", datetime(2024, 1, 1))
    assert round_trip([Packet(b"")], list[Packet | Item]) == [Packet(b"")]


def test_fields_set_after_construction_are_kept() -> None:
    """A field that the constructor does not take comes back all the same."""
    assert round_trip(Mixed(1).bump().bump(), Mixed).derived == 2


def test_generic_bases_are_filled_in() -> None:
    """A type variable means what the subclass says it means."""
    with pytest.raises(TypeError, match=r"\$\.content: expected int, got str"):
        CODEC.encode(IntBox("x"), IntBox, what="it")
    assert round_trip(Box(Point(1)), Box[Point]) == Box(Point(1))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (3, float),
        (Word.YES, str),
        (Level.LOW, int),
        (Sized("x"), str),
        ({"a"}, frozenset[str]),
        (Sized("x"), Sized),
    ],
)
def test_what_is_equal_may_stand_in(value: Any, hint: Any) -> None:
    """A value of another class that equals one of the declared class is taken for it."""
    back = round_trip(value, hint)
    assert back == value
    assert isinstance(back, hint if isinstance(hint, type) else frozenset)


def test_any_gives_json_back() -> None:
    """Without a declared type, JSON comes back as it was, and what is richer as its JSON form."""
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
    assert round_trip(value, Any) == value
    rich = [
        Item(Sku("a"), 1.0),
        date(2024, 1, 2),
        (1, 2),
        Color.RED,
        ID,
        {3, 1},
        Car("x"),
        Point(1),
        timedelta(seconds=1),
        b"\0",
    ]
    assert round_trip(rich, Any) == [
        {"sku": "a", "price": 1.0, "count": 1}, "2024-01-02", [1, 2], "red", str(ID), [1, 3],
        {"brand": "x", "_secret": 0, "parts": [], "sold": None}, {"x": 1, "y": 0.0, "at": None}, "PT1S", "AA==",
    ]  # fmt: skip


def test_a_reader_that_declares_reads_what_a_writer_without_types_wrote() -> None:
    """The form under `Any` is the form under the declared type: a workflow may be started by its name."""
    order = Order(
        id=ID, items=[Item(Sku("a"), 1)], placed=datetime(2024, 1, 1, tzinfo=UTC), total=Money(Decimal("1.50"))
    )
    assert CODEC.decode(CODEC.encode(order, Any, what="it"), Order, what="it") == order


def test_sets_are_written_in_one_order() -> None:
    """The same set is the same text, whatever the hash seed."""
    names = {str(uuid5(ID, str(i))) for i in range(50)}
    assert json.loads(CODEC.encode(names, set[str], what="it").data) == sorted(names)


def test_a_declared_type_may_grow() -> None:
    """What was written before a field was added, one removed, or the type made a union, is still read."""
    old = Payload(b'{"sku":"a","price":1,"gone":[1]}')
    assert CODEC.decode(old, Item, what="it") == Item(Sku("a"), 1.0)
    assert CODEC.decode(old, Item | Money, what="it") == Item(Sku("a"), 1.0)
    assert CODEC.decode(
        Payload(b'{"$type":"Renamed","$value":{"sku":"a","price":1}}'), Money | Item, what="it"
    ) == Item(Sku("a"), 1)


def test_data_that_looks_like_a_tag_is_not_taken_for_one() -> None:
    """A mapping with our own keys in it comes back as it was."""
    for value in ({"$type": "Item", "$value": 1}, {"$type": "dict[str, typing.Any]", "$value": {}}, {"$type": "x"}):
        assert round_trip(value, dict[str, Any] | Item | None) == value
        assert round_trip(value, dict[str, Any] | int) == value
        assert round_trip(value, Any) == value


def test_unions_stay_readable() -> None:
    """A tag is written only where the JSON form does not tell the members apart."""
    assert CODEC.encode(1, int | str | None, what="it").data == b"1"
    assert (
        CODEC.encode(Item(Sku("a"), 1.0), Item | list[int] | None, what="it").data
        == b'{"sku":"a","price":1.0,"count":1}'
    )
    assert CODEC.encode(Money(Decimal(1)), Item | Money, what="it").data == (
        b'{"$type":"Money","$value":{"amount":"1","currency":"EUR"}}'
    )
    assert CODEC.encode("a", str | shapes.Literal["a"], what="it").data == b'"a"'
