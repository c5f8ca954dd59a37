"""Documents: creating them, sending to their inboxes, and finding them."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from ...errors import NameTakenError, RunClosedError, RunNotFoundError
from .._protocol import Document, Entry
from .._rules import check_latest, created_after
from ._attributes import as_text, from_text, index_new
from ._statements import Value, query_rows, write_rows
from ._writer import Tx

COLUMNS = "id, name, inbox, request, kind, state, created_ms, body, open, note, closed_ms, attributes"
D_COLUMNS = ", ".join(f"d.{column}" for column in COLUMNS.split(", "))

_BY_ID = f"""
    SELECT v.column1, {D_COLUMNS} FROM (VALUES {{values}}) v
    CROSS JOIN documents d ON d.partition = v.column2 AND d.id = v.column3"""
_OPEN = f"""
    SELECT v.column1, {D_COLUMNS} FROM (VALUES {{values}}) v
    CROSS JOIN documents d ON d.partition = v.column2 AND d.name = v.column3 AND d.open"""
_LATEST = f"""
    SELECT v.column1, {D_COLUMNS} FROM (VALUES {{values}}) v
    CROSS JOIN documents d ON d.partition = v.column2 AND d.id = (
        SELECT id FROM documents AS same WHERE same.partition = v.column2 AND same.name = v.column3 ORDER BY created_ms DESC, id DESC LIMIT 1
    )"""
_INSERT = f"INSERT INTO documents (partition, {COLUMNS}) VALUES {{values}}"


class Creation(NamedTuple):
    partition: int
    document: Document
    entries: Sequence[Entry]
    latest: str | None


class Sending(NamedTuple):
    partition: int
    entry: Entry
    id: str | None
    closed_too: bool


def document_of(row: Sequence[object]) -> Document:
    """Return the document of a row of `COLUMNS`."""
    fields = cast("tuple[str, str, str, str, str, str, int, bytes, int, str, int | None, str]", tuple(row))
    return Document(*fields[:8], bool(fields[8]), fields[9], fields[10], from_text(fields[11]))


def _found(cursor: sqlite3.Cursor, sql: str, wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Document]:
    """Return the documents for the `wanted` (partition, id or name), as far as there are any."""
    keys = list(dict.fromkeys(wanted))
    flat: list[Value] = []
    for index, (partition, key) in enumerate(keys):
        flat += (index, partition, key)
    return {keys[cast("int", row[0])]: document_of(row[1:]) for row in query_rows(cursor, sql, 3, flat)}


def create(tx: Tx, calls: Sequence[Creation]) -> list[Document | BaseException]:
    """See `Store.create`."""
    names = [(call.partition, call.document.name) for call in calls]
    latest, taken = _found(tx.cursor, _LATEST, names), _found(tx.cursor, _OPEN, names)
    answers: list[Document | BaseException] = []
    created: list[tuple[Creation, Document]] = []
    for call in calls:
        document, key = call.document, (call.partition, call.document.name)
        last = latest.get(key)
        # The open one first: clocks differ, so an earlier document may have the greater id.
        known = next((each for each in (taken.get(key), last) if each and each.request == document.request), None)
        if known is not None:
            answers.append(known)
        elif key in taken:
            answers.append(NameTakenError(f"the document {taken[key].id!r} is open and has the name {document.name!r}"))
        else:
            try:
                check_latest(document, call.latest, last)
            except NameTakenError as refusal:
                answers.append(refusal)
                continue
            document = created_after(document, last)
            taken[key] = latest[key] = document
            created.append((call, document))
            answers.append(document)
    try:
        insert(tx, [(call.partition, document) for call, document in created])
    except sqlite3.IntegrityError:
        if len(calls) > 1:
            raise  # the writer runs them again one by one, and finds which
        return [NameTakenError(f"another document has the id {calls[0].document.id!r}")]
    for call, document in created:
        for entry in call.entries:
            tx.append_entry(call.partition, document.inbox, entry)
    return answers


def insert(tx: Tx, documents: Sequence[tuple[int, Document]]) -> None:
    """Insert documents, each with its partition."""
    flat: list[Value] = []
    for partition, document in documents:
        flat += _row(partition, document)
    write_rows(tx.cursor, _INSERT, 13, flat)
    index_new(tx, documents)


def _row(partition: int, d: Document) -> tuple[Value, ...]:
    return (
        partition,
        d.id,
        d.name,
        d.inbox,
        d.request,
        d.kind,
        d.state,
        d.created_ms,
        d.body,
        int(d.open),
        d.note,
        d.closed_ms,
        as_text(d.attributes),
    )


def send(tx: Tx, calls: Sequence[Sending]) -> list[Document | BaseException]:
    """See `Store.send`."""
    by_id = _found(tx.cursor, _BY_ID, [(call.partition, call.id) for call in calls if call.id is not None])
    names = [(call.partition, call.entry.name) for call in calls if call.id is None]
    is_open = _found(tx.cursor, _OPEN, names)
    latest = _found(tx.cursor, _LATEST, [name for name in names if name not in is_open])
    answers: list[Document | BaseException] = []
    for call in calls:
        name, key = call.entry.name, (call.partition, call.entry.name)
        document = by_id.get((call.partition, call.id)) if call.id is not None else is_open.get(key) or latest.get(key)
        if document is None or document.name != name:
            answers.append(
                RunNotFoundError(
                    f"no document named {name!r}" + (f" with the id {call.id!r}" if call.id is not None else "")
                )
            )
        elif not document.open and not call.closed_too:
            answers.append(RunClosedError(f"the document {document.id!r} named {name!r} is closed"))
        else:
            tx.append_entry(call.partition, document.inbox, call.entry)
            answers.append(document)
    return answers


_CLOSED = f"""
    SELECT {D_COLUMNS} FROM documents d
    WHERE d.partition = ? AND d.closed_ms < ? AND (d.closed_ms, d.id) > (?, ?) AND NOT d.open
    ORDER BY d.closed_ms, d.id LIMIT ?"""


def closed(cursor: sqlite3.Cursor, wanted: tuple[int, int, int, str, int]) -> list[Document]:
    """See `Store.read_closed`; `wanted` is (partition, before_ms, *after, limit)."""
    return [document_of(row) for row in cursor.execute(_CLOSED, wanted).fetchall()]


def latest_of(cursor: sqlite3.Cursor, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Document]:
    """Return the latest document of each of these (partition, name)."""
    return _found(cursor, _LATEST, names)


def by_id(cursor: sqlite3.Cursor, wanted: tuple[int, str]) -> Document | None:
    """Return the document of this (partition, id)."""
    return _found(cursor, _BY_ID, [wanted]).get(wanted)


def by_name(cursor: sqlite3.Cursor, wanted: tuple[int, str]) -> Document | None:
    """Return the open document of this (partition, name), else the latest."""
    return _found(cursor, _OPEN, [wanted]).get(wanted) or _found(cursor, _LATEST, [wanted]).get(wanted)
