"""Attributes: typed values by which documents are found."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ...stores._protocol import AttributeValue, Condition, DocumentFilter, DocumentUpdate, Store
from .._clock import ManualClock
from ._base import NAME, Base, P, applied, document, entry, inbox_of, lease_for

EVERY_TYPE: Mapping[str, AttributeValue] = {
    "text": "grüße, \x00 世界 \U0001f600",
    "empty": "",
    "whole": -(2**63),
    "big": 2**63 - 1,
    "real": 0.1,
    "endless": -math.inf,
    "yes": True,
    "no": False,
    "one": 1,
    "one.0": 1.0,
    "tags": ("b", "a", "b"),
    "no tags": (),
    'it\'s "quoted"; -- ü%': "x",
}


async def _with(store: Store, *attributes: Mapping[str, AttributeValue]) -> None:
    """Create a document "d-1", "d-2" ... for each of `attributes`, in turns in three partitions."""
    for number, each in enumerate(attributes, 1):
        name = f"order-{number}"
        new = replace(document(f"d-{number}", name, request=name, created_ms=number), attributes=each)
        await store.create(number % 3, new, [entry(f"e-{number}", name)])


async def _ids(store: Store, *conditions: Condition, limit: int = 100, **more: str) -> list[str]:
    wanted = DocumentFilter(attributes=conditions, **more)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    found = [each.id for _, each in await store.inspect.documents(wanted, limit=limit)]
    if limit == 100:
        assert sum((await store.inspect.count_documents(wanted)).values()) == len(found)
    return found


def _numbered(number: int) -> Mapping[str, AttributeValue]:
    return {"n": number, "even": number % 2 == 0, "t": (f"{number % 3}",)}


class AttributeTests(Base):
    """`Document.attributes`, `DocumentUpdate.attributes`, `DocumentFilter.attributes`."""

    async def test_attributes_of_every_type_are_kept(self, store: Store, clock: ManualClock) -> None:
        """`AttributeValue`: each comes back as the value and the type that it was, from everywhere documents come from."""
        new = replace(document(), attributes=EVERY_TYPE)
        created = await store.create(P, new, [entry()])
        (listed,) = await store.inspect.documents(DocumentFilter(), limit=1)
        sent = await store.send(P, entry("e-2"))
        found = [created, listed[1], sent, await store.document(P, id="d-01"), await store.document(P, name=NAME)]
        again = await self.reopen(store, clock)
        if again is not None:
            try:
                found.append(await again.document(P, id="d-01"))
            finally:
                await again.close()
        for each in found:
            assert each is not None
            assert each == new
            assert {name: type(value) for name, value in each.attributes.items()} == {
                name: type(value) for name, value in EVERY_TYPE.items()
            }

    async def test_every_value_is_found_by_itself(self, store: Store) -> None:
        """`Condition` "=" and "exists", with every type, and any text as a name."""
        await _with(store, EVERY_TYPE, {})
        for name, value in EVERY_TYPE.items():
            assert await _ids(store, Condition(name, "=", value)) == ["d-1"]
            assert await _ids(store, Condition(name, "!=", value)) == []
            assert await _ids(store, Condition(name, "exists")) == ["d-1"]
        assert await _ids(store, *(Condition(name, "=", value) for name, value in EVERY_TYPE.items())) == ["d-1"]

    async def test_attributes_are_merged(self, store: Store) -> None:
        """`DocumentUpdate.attributes`: merged into those that the document has; one whose value is None is removed."""
        lease = await lease_for(store)
        await store.create(P, replace(document(), attributes={"a": 1, "b": "x", "c": ("p", "q")}), [entry()])
        changes: Mapping[str, AttributeValue | None] = {"a": 2, "b": None, "c": ("q", "r"), "d": True, "e": None}
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, attributes=changes)])
        assert await store.document(P, id="d-01") == replace(
            document(), attributes={"a": 2, "c": ("q", "r"), "d": True}
        )
        assert await _ids(store, Condition("a", "=", 1)) == []
        assert await _ids(store, Condition("a", "=", 2)) == ["d-01"]
        assert await _ids(store, Condition("b", "exists")) == []
        assert await _ids(store, Condition("c", "has", "p")) == []
        assert await _ids(store, Condition("c", "has", "q")) == ["d-01"]
        updates = [DocumentUpdate("d-01", NAME, attributes={"a": None, "f": 1.5}), DocumentUpdate("d-01", NAME)]
        await applied(store, lease, documents=[*updates, DocumentUpdate("d-01", NAME, attributes={"f": "now text"})])
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, state="waiting", attributes={})])
        assert (await store.inspect.documents(DocumentFilter(), limit=1))[0][1].attributes == {
            "c": ("q", "r"),
            "d": True,
            "f": "now text",
        }
        assert await _ids(store, Condition("f", ">", 0)) == []

    async def test_attributes_come_with_a_commit_and_stay_when_a_document_closes(self, store: Store) -> None:
        """`Commit.created` and `DocumentUpdate.attributes`: what closes a document may set them too; they are kept."""
        lease = await lease_for(store)
        new = replace(document(), attributes={"a": "x"})
        await applied(store, lease, created=[(new, entry())])
        assert await _ids(store, Condition("a", "=", "x")) == ["d-01"]
        (read,) = await inbox_of(store)
        closes = DocumentUpdate("d-01", NAME, closes=True, attributes={"b": False})
        await applied(store, lease, consumed=[read.seq], documents=[closes])
        assert await store.document(P, id="d-01") == replace(new, open=False, attributes={"a": "x", "b": False})
        assert await _ids(store, Condition("a", "=", "x"), Condition("b", "=", False)) == ["d-01"]

    async def test_a_value_of_another_type_never_matches(self, store: Store) -> None:
        """`Condition`: `int` and `float` are one type, `bool` is another, and so are texts and tuples."""
        await _with(store, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": ("1",)}, {"b": 1}, {"a": 0.5}, {})
        assert await _ids(store, Condition("a", "=", 1)) == ["d-2", "d-1"]
        assert await _ids(store, Condition("a", "=", 1.0)) == ["d-2", "d-1"]
        assert await _ids(store, Condition("a", "=", True)) == ["d-3"]
        assert await _ids(store, Condition("a", "=", "1")) == ["d-4"]
        assert await _ids(store, Condition("a", "=", ("1",))) == ["d-5"]
        assert await _ids(store, Condition("a", "has", "1")) == ["d-5"]
        assert await _ids(store, Condition("a", "prefix", "")) == ["d-4"]
        assert await _ids(store, Condition("a", "<", 2)) == ["d-7", "d-2", "d-1"]
        assert await _ids(store, Condition("a", ">", "")) == ["d-4"]

    async def test_unequal_needs_the_attribute(self, store: Store) -> None:
        """`Condition` "!=": another value of the same type; a document without the attribute never matches."""
        await _with(store, {"a": 1}, {"a": 2}, {}, {"a": "x"}, {"b": 2}, {"a": False}, {"a": ("x",)})
        assert await _ids(store, Condition("a", "!=", 1)) == ["d-2"]
        assert await _ids(store, Condition("a", "!=", "y")) == ["d-4"]
        assert await _ids(store, Condition("a", "!=", True)) == ["d-6"]
        assert await _ids(store, Condition("a", "!=", ("x", "x"))) == ["d-7"]
        assert await _ids(store, Condition("a", "exists")) == ["d-7", "d-6", "d-4", "d-2", "d-1"]

    async def test_numbers_and_texts_are_ordered(self, store: Store) -> None:
        """`Condition`: numbers by their value, without loss of digits; texts by code points."""
        big = 2**53 + 1
        await _with(store, {"n": -1}, {"n": 0.5}, {"n": big}, {"n": float(2**53)}, {"t": "Z"}, {"t": "a"}, {"t": "ä"})
        assert await _ids(store, Condition("n", "<", 0.5)) == ["d-1"]
        assert await _ids(store, Condition("n", "<=", 0.5)) == ["d-2", "d-1"]
        assert await _ids(store, Condition("n", ">", float(2**53))) == ["d-3"]
        assert await _ids(store, Condition("n", ">=", 2**53)) == ["d-4", "d-3"]
        assert await _ids(store, Condition("n", "=", big)) == ["d-3"]
        assert await _ids(store, Condition("n", ">=", 0), Condition("n", "<", 100)) == ["d-2"]
        assert await _ids(store, Condition("t", "<", "a")) == ["d-5"]
        assert await _ids(store, Condition("t", ">=", "a")) == ["d-7", "d-6"]

    async def test_texts_are_found_by_their_beginning(self, store: Store) -> None:
        """`Condition` "prefix": a text that begins with the text `value`, letter by letter."""
        last, before_gap = "\U0010ffff", "\ud7ff"
        texts = ["ab", "abc", "aB", "b", "a%", last, last + "x", before_gap + "x", "\ue000"]
        await _with(store, *({"t": text} for text in texts))
        assert await _ids(store, Condition("t", "prefix", "ab")) == ["d-2", "d-1"]
        assert await _ids(store, Condition("t", "prefix", "a%")) == ["d-5"]
        assert await _ids(store, Condition("t", "prefix", last)) == ["d-7", "d-6"]
        assert await _ids(store, Condition("t", "prefix", before_gap)) == ["d-8"]
        assert len(await _ids(store, Condition("t", "prefix", ""))) == len(texts)

    async def test_tuples_are_found_by_what_they_contain(self, store: Store) -> None:
        """`Condition` "has": a tuple that contains the text `value`, each document once."""
        await _with(store, {"t": ("red", "blue", "red")}, {"t": ("blue",)}, {"t": ()}, {"t": "red"})
        assert await _ids(store, Condition("t", "has", "red")) == ["d-1"]
        assert await _ids(store, Condition("t", "has", "blue")) == ["d-2", "d-1"]
        assert await _ids(store, Condition("t", "has", "blu")) == []
        assert await _ids(store, Condition("t", "=", ())) == ["d-3"]
        assert await _ids(store, Condition("t", "exists")) == ["d-4", "d-3", "d-2", "d-1"]

    async def test_all_conditions_must_hold_with_all_else(self, store: Store) -> None:
        """`DocumentFilter.attributes`: all must hold, together with the other fields; newest first, and in pages."""
        await _with(store, *(_numbered(number) for number in range(12)))
        even = Condition("even", "=", True)
        assert await _ids(store, even, Condition("n", ">", 7)) == ["d-9", "d-11"]  # n is 8 and 10
        assert await _ids(store, Condition("n", ">", 2), even, Condition("t", "has", "0")) == ["d-7"]
        assert await _ids(store, even, limit=2) == ["d-9", "d-7"]
        assert await _ids(store, even, limit=2, before_id="d-7") == ["d-5", "d-3"]
        assert await _ids(store, Condition("n", "<", 6), limit=2, before_id="d-4") == ["d-3", "d-2"]
        assert await _ids(store, even, name="order-3") == ["d-3"]
        assert await _ids(store, Condition("n", "!=", 2), name="order-3") == []
        assert await _ids(store, even, Condition("even", "=", False)) == []
        assert await store.inspect.count_documents(
            DocumentFilter(attributes=[even], name_prefix="order-1"), by="kind"
        ) == {"order": 2}

    async def test_documents_are_filtered_and_counted_by_inbox(self, store: Store) -> None:
        """`DocumentFilter.inboxes`; `count_documents`: by state, kind or inbox."""
        for number, inbox in enumerate(["a", "b", "a", "c"], 1):
            new = document(f"d-{number}", f"n-{number}", inbox=inbox, request=f"r-{number}", kind="kc"[number % 2])
            await store.create(P, new, [entry(f"e-{number}", f"n-{number}")])
        found = await store.inspect.documents(DocumentFilter(inboxes=["a", "c", "nobody's"]), limit=9)
        assert [each.id for _, each in found] == ["d-4", "d-3", "d-1"]
        count = store.inspect.count_documents
        assert await count(DocumentFilter(), by="inbox") == {"a": 2, "b": 1, "c": 1}
        assert await count(DocumentFilter(inboxes=["a", "b"]), by="kind") == {"c": 2, "k": 1}
        assert await count(DocumentFilter(inboxes=["a"])) == {"running": 2}
        with pytest.raises(ValueError, match="by: expected one of state, kind, inbox"):
            await count(DocumentFilter(), by="name")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
