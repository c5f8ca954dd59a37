"""Attributes of documents: how they are written, and how a filter finds documents by them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from .._attributes import AttributeValue, Condition, kind_of, merged
from .._protocol import Document
from ._statements import Value, query_rows, write_rows
from ._writer import Tx

Key = tuple[int, str]  # (partition, id of a document)

_READ = """
    SELECT d.partition, d.id, d.attributes FROM (VALUES {values}) v
    CROSS JOIN documents d ON d.partition = v.column1 AND d.id = v.column2"""
_UPDATE = """
    UPDATE documents SET attributes = v.column3
    FROM (VALUES {values}) v WHERE documents.partition = v.column1 AND documents.id = v.column2"""
_REMOVE = """
    DELETE FROM attributes WHERE name = ? AND kind = ? AND value = ? AND id = ? AND partition = ?"""
_INSERT = "INSERT INTO attributes (name, kind, value, id, partition) VALUES {values}"

Row = tuple[str, str, Value]  # name, kind, value


def as_text(attributes: Mapping[str, AttributeValue]) -> str:
    """Return what the column of a document holds; "" for no attributes."""
    return json.dumps(dict(attributes)) if attributes else ""


def from_text(text: str) -> dict[str, AttributeValue]:
    """Return the attributes that `as_text` wrote."""
    if not text:
        return {}
    found = cast("dict[str, Any]", json.loads(text))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _rows(attributes: Mapping[str, AttributeValue]) -> Iterator[Row]:
    """Yield the rows by which a document with these attributes is found."""
    for name, value in attributes.items():
        kind = kind_of(value)
        if isinstance(value, tuple):
            yield name, kind, json.dumps(value)
            for item in dict.fromkeys(value):
                yield name, "item", item
        else:
            yield name, kind, value


def index_new(tx: Tx, documents: Iterable[tuple[int, Document]]) -> None:
    """Index the attributes of documents that were inserted just now, each with its partition."""
    flat: list[Value] = []
    for partition, document in documents:
        for row in _rows(document.attributes):
            flat += (*row, document.id, partition)
    write_rows(tx.cursor, _INSERT, 5, flat)


def change(tx: Tx, changes: Mapping[Key, Mapping[str, AttributeValue | None]]) -> None:
    """Merge `changes` into the attributes of documents; one that is not there is passed over."""
    keys: list[Value] = [value for key in changes for value in key]
    texts: list[Value] = []
    removed: list[tuple[Value, ...]] = []
    added: list[Value] = []
    for row in list(query_rows(tx.cursor, _READ, 2, keys)):
        partition, id_, text = cast("tuple[int, str, str]", row)
        before = from_text(text)
        after = merged(before, changes[partition, id_])
        texts += (partition, id_, as_text(after))
        old, new = set(_rows(before)), set(_rows(after))
        removed += [(*each, id_, partition) for each in old - new]
        for each in new - old:
            added += (*each, id_, partition)
    write_rows(tx.cursor, _UPDATE, 3, texts)
    tx.cursor.executemany(_REMOVE, removed)
    write_rows(tx.cursor, _INSERT, 5, added)


# --- finding


class Term(NamedTuple):
    """What must hold for a row `a` of the table of attributes."""

    sql: str
    values: tuple[Value, ...]
    one_value: bool  # its rows are in the order of their documents


def terms_of(conditions: Sequence[Condition]) -> list[Term]:
    """Return the conditions in SQL. All that compare one attribute with values of one type are one term: both ends of a range."""
    terms: list[Term] = []
    compared: dict[tuple[str, str], list[tuple[str, list[Value], bool]]] = {}
    for name, op, value in ((each.name, each.op, each.value) for each in conditions):
        if value is None:
            terms.append(Term("a.name = ? AND a.kind <> 'item'", (name,), one_value=False))
        elif op == "has":
            sql = "a.name = ? AND a.kind = 'item' AND a.value = ?"
            terms.append(Term(sql, (name, str(value)), one_value=True))
        else:
            stored = json.dumps(value) if isinstance(value, tuple) else value
            compared.setdefault((name, kind_of(value)), []).append(_comparison(op, stored))
    for (name, kind), parts in compared.items():
        one_value = any(one for _, _, one in parts)
        # The "+" keeps a range out of the choice of an index: one value is found in the order in which documents are listed.
        texts = [part.replace("a.value", "+a.value") if one_value and not one else part for part, _, one in parts]
        values = [value for _, found, _ in parts for value in found]
        terms.append(Term(" AND ".join(["a.name = ? AND a.kind = ?", *texts]), (name, kind, *values), one_value))
    return terms


def _comparison(op: str, stored: Value) -> tuple[str, list[Value], bool]:
    """Return what holds of the value, the values that this asks for, and whether it is one value."""
    if op != "prefix":
        return f"a.value {op} ?", [stored], op == "="
    end = _after_prefix(str(stored))
    return ("a.value >= ?", [stored], False) if end is None else ("a.value >= ? AND a.value < ?", [stored, end], False)


def _after_prefix(prefix: str) -> str | None:
    """Return the least text that is greater than all that begin with `prefix`; None if there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code == 0xD800:
            code = 0xE000  # past the surrogates, which are no characters
        if code <= 0x10FFFF:
            return prefix[: end - 1] + chr(code)
    return None


_FEW = 1_000  # so many documents are sorted in a millisecond; of more, the newest are found sooner by looking at all in order


def lead(cursor: sqlite3.Cursor, terms: Sequence[Term]) -> int | None:
    """Return which of the terms the search had best begin with: the one with the fewest rows; None for none of them.

    Rows are counted up to a bound, so this is quick whatever the table holds.
    """
    if len(terms) == 1 and terms[0].one_value:
        return 0
    counted = [f"SELECT count(*) FROM (SELECT 1 FROM attributes a WHERE {term.sql} LIMIT {_FEW})" for term in terms]
    sql = "SELECT " + ", ".join(f"({each})" for each in counted)
    (counts,) = cursor.execute(sql, [value for term in terms for value in term.values]).fetchall()
    best = min(range(len(terms)), key=lambda index: (counts[index], not terms[index].one_value))
    return best if terms[best].one_value or counts[best] < _FEW else None
