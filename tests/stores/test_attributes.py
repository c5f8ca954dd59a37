"""What may be an attribute or a condition, and that SQLite finds documents by an index."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from durable.stores import Condition, Document, DocumentFilter, DocumentUpdate, open_store
from durable.stores._attributes import INT_MAX, INT_MIN
from durable.stores.sqlite import SqliteStore
from durable.stores.sqlite import _attributes as of_sqlite
from durable.stores.sqlite._inspect import documents
from durable.testing.conformance._base import P, document, entry


def in_document(value: object) -> object:
    return replace(document(), attributes={"a": value})  # type: ignore[dict-item]


def in_update(value: object) -> object:
    return DocumentUpdate("d-01", "order-1", attributes={"a": value})  # type: ignore[dict-item]


def in_condition(value: object) -> object:
    return Condition("a", "=", value)  # type: ignore[arg-type]


EVERYWHERE = pytest.mark.parametrize("make", [in_document, in_update, in_condition])


@EVERYWHERE
@pytest.mark.parametrize("value", [INT_MAX + 1, INT_MIN - 1, 10**40, math.nan, "\ud800", ("fine", "x\udfff")])
def test_a_value_that_no_store_can_keep_is_refused(make: Callable[[object], object], value: object) -> None:
    """Whole numbers of more than 64 bits, a NaN and half a surrogate pair: `ValueError`, naming the attribute."""
    with pytest.raises(ValueError, match=r"attribute 'a'.*expected"):
        make(value)


@EVERYWHERE
@pytest.mark.parametrize("value", [["x"], ("x", 1), b"x", {"x": 1}, object(), ((),)])
def test_a_value_of_another_type_is_refused(make: Callable[[object], object], value: object) -> None:
    """Only str, int, float, bool and a tuple of str are attributes."""
    with pytest.raises(TypeError, match=r"attribute 'a'.*expected"):
        make(value)


@EVERYWHERE
@pytest.mark.parametrize("value", [INT_MAX, INT_MIN, math.inf, 1e308, "", (), True])
def test_the_ends_of_the_ranges_are_values(make: Callable[[object], object], value: object) -> None:
    """What is just in range is not refused."""
    made = make(value)
    assert isinstance(made, Document | DocumentUpdate | Condition)


@pytest.mark.parametrize("name", ["", 7, None, b"a"])
def test_an_attribute_has_a_name(name: object) -> None:
    """A text that is not empty."""
    for make in (
        lambda: replace(document(), attributes={name: 1}),
        lambda: DocumentUpdate("d-01", "order-1", attributes={name: None}),
        lambda: Condition(name, "exists"),
    ):
        with pytest.raises(TypeError, match="the name of an attribute"):
            make()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("op", "value", "error", "match"),
    [
        ("==", 1, ValueError, "unknown operator '=='; expected one of =, !=, <, <=, >, >=, prefix, has, exists"),
        ("; DROP TABLE documents", 1, ValueError, "unknown operator"),
        ("=", None, TypeError, "'=' takes a value, got None"),
        ("exists", 1, TypeError, "'exists' takes no value, got 1"),
        ("prefix", 1, TypeError, "'prefix' takes a text, got 1"),
        ("has", ("x",), TypeError, "'has' takes a text"),
        ("<", True, TypeError, "'<' takes a text or a number, got True"),
        (">=", ("x",), TypeError, "'>=' takes a text or a number"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(op: str, value: object, error: type[Exception], match: str) -> None:
    """At the place where it is written, not as an empty answer."""
    with pytest.raises(error, match=match):
        Condition("a", op, value)  # type: ignore[arg-type]


def test_a_document_can_still_be_hashed() -> None:
    """By its other fields: attributes are a mapping."""
    one = replace(document(), attributes={"a": 1})
    assert hash(one) == hash(document())
    assert one != document()


# --- the index of SQLite


async def _plan(store: SqliteStore, wanted: DocumentFilter) -> list[str]:
    """Return how SQLite goes about the search for `wanted`."""
    connection = store._writer._connection
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    try:
        documents(connection.cursor(), (wanted, 10))
    finally:
        connection.set_trace_callback(None)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}").fetchall()]


async def test_a_search_by_an_attribute_scans_and_sorts_nothing(tmp_path: Path) -> None:
    """What equals a value is found in the order in which it is listed; a few rows of a range are sorted."""
    async with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        assert isinstance(store, SqliteStore)
        await store.create(P, replace(document(), attributes={"a": 1, "t": ("x",)}), [entry()])
        for condition in (Condition("a", "=", 1), Condition("t", "has", "x")):
            for more in ([], [Condition("a", "<", 7)], [Condition("a", "exists"), Condition("t", "=", ("x",))]):
                for before in (None, "d-99"):
                    plan = await _plan(store, DocumentFilter(attributes=[condition, *more], before_id=before))
                    assert plan[0].startswith("SEARCH a USING PRIMARY KEY (name=? AND kind=? AND value=?"), plan
                    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
        plan = await _plan(store, DocumentFilter(attributes=[Condition("a", ">", 0)]))
        assert plan[0].startswith("SEARCH a USING PRIMARY KEY (name=? AND kind=? AND value>?"), plan
        plan = await _plan(store, DocumentFilter(attributes=[Condition("a", ">", 0)], name="order-1"))
        assert "SEARCH d USING INDEX documents_name (partition=? AND name=?)" in plan, plan


async def test_a_search_begins_with_what_is_rarest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several conditions the one with the fewest rows leads; if all have many, the newest are looked at first."""
    monkeypatch.setattr(of_sqlite, "_FEW", 3)
    async with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        assert isinstance(store, SqliteStore)
        for number in range(6):
            new = replace(
                document(f"d-{number}", f"n-{number}", request=f"r-{number}"), attributes={"n": number, "a": 1}
            )
            await store.create(P, new, [])

        async def leader(*conditions: Condition) -> int | None:
            return of_sqlite.lead(store._writer._connection.cursor(), of_sqlite.terms_of(conditions))

        common, rare, wide = Condition("a", "=", 1), Condition("n", "=", 5), Condition("n", "<", 5)
        assert await leader(common) == 0
        assert await leader(common, rare) == 1
        assert await leader(common, wide, rare) == 1  # a range and a value of one attribute are looked for together
        assert await leader(Condition("n", ">", 4), common) == 0
        assert await leader(wide, common) == 1
        assert await leader(wide, Condition("a", ">=", 1)) is None
        assert await leader(wide, Condition("n", ">", 3)) == 0
        plan = await _plan(store, DocumentFilter(attributes=[wide]))
        assert plan[0] == "SCAN d", plan
        assert "INDEX attributes_document" in plan[2], plan
        found = await store.inspect.documents(DocumentFilter(attributes=[wide]), limit=2)
        assert [each.id for _, each in found] == ["d-4", "d-3"]
