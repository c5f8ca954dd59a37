"""What people look at, and what they do with parked tasks."""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, cast

from .._protocol import Document, DocumentFilter, Entry, Task, TaskInfo, tasks_topic
from ._attributes import lead, terms_of
from ._documents import D_COLUMNS, document_of
from ._statements import Value
from ._writer import Tx, one_by_one


class Discarding(NamedTuple):
    ids: Sequence[str]
    entries: Sequence[Entry]


class TaskFilter(NamedTuple):
    queue: str | None
    name: str | None
    parked: bool | None
    limit: int


class Where(NamedTuple):
    """A search among documents, in SQL: `d` is the table of documents, and `first` what is gone through in order."""

    source: str
    first: str
    condition: str
    values: list[Value]


# The index by name begins with the partition.
_PARTITIONS = """
    WITH RECURSIVE p (number) AS (
        SELECT 0 UNION ALL SELECT number + 1 FROM p WHERE number + 1 < (SELECT value FROM settings WHERE name = 'partitions')
    ) SELECT number FROM p"""
_THERE = "EXISTS (SELECT 1 FROM attributes a{index} WHERE {term} AND a.id = d.id AND a.partition = d.partition)"


def _where(cursor: sqlite3.Cursor, wanted: DocumentFilter) -> Where:
    """Return where to look for `wanted`, and what must hold."""
    terms = terms_of(wanted.attributes)
    # A name leads to so few documents that there is nothing better.
    leading = lead(cursor, terms) if terms and wanted.name is None else None
    texts, values = _plain_terms(wanted)
    source, first = "documents d", "d"
    if leading is not None:
        source, first = "attributes a CROSS JOIN documents d ON d.id = a.id AND d.partition = a.partition", "a"
    if wanted.before_id is not None:
        texts.append(f"{first}.id < ?")
        values.append(wanted.before_id)
    for number, term in enumerate(terms):
        # What equals a value is found by the whole key; of anything else the rows of the document are looked at, not all of the name.
        index = "" if term.one_value else " INDEXED BY attributes_document"
        texts.append(term.sql if number == leading else _THERE.format(index=index, term=term.sql))
        values += term.values
    return Where(source, first, " AND ".join(texts) or "1", values)


def _plain_terms(wanted: DocumentFilter) -> tuple[list[str], list[Value]]:
    """Return what must hold of the fields of a document, and the values that this asks for."""
    prefix = wanted.name_prefix
    terms: list[tuple[bool, str, tuple[Value, ...]]] = [
        (wanted.name is not None, f"d.partition IN ({_PARTITIONS}) AND d.name = ?", (wanted.name,)),
        (prefix is not None, "substr(d.name, 1, length(?)) = ?", (prefix, prefix)),
        (bool(wanted.kinds), _one_of("kind"), (json.dumps(list(wanted.kinds)),)),
        (bool(wanted.states), _one_of("state"), (json.dumps(list(wanted.states)),)),
        (bool(wanted.inboxes), _one_of("inbox"), (json.dumps(list(wanted.inboxes)),)),
        (wanted.noted is not None, "(d.note <> '') = ?", (int(bool(wanted.noted)),)),
        (wanted.created_after_ms is not None, "d.created_ms >= ?", (wanted.created_after_ms,)),
        (wanted.created_before_ms is not None, "d.created_ms < ?", (wanted.created_before_ms,)),
    ]
    asked = [(text, values) for is_asked, text, values in terms if is_asked]
    return [text for text, _ in asked], [value for _, values in asked for value in values]


def _one_of(column: str) -> str:
    return f"d.{column} IN (SELECT value FROM json_each(?))"


def documents(cursor: sqlite3.Cursor, wanted: tuple[DocumentFilter, int]) -> list[tuple[int, Document]]:
    """See `Inspect.documents`."""
    where = _where(cursor, wanted[0])
    sql = f"""
        SELECT d.partition, {D_COLUMNS} FROM {where.source} WHERE {where.condition}
        ORDER BY {where.first}.id DESC, {where.first}.partition DESC LIMIT ?"""
    return [(row[0], document_of(row[1:])) for row in cursor.execute(sql, [*where.values, wanted[1]]).fetchall()]


def count_documents(cursor: sqlite3.Cursor, wanted: tuple[DocumentFilter, str]) -> dict[str, int]:
    """See `Inspect.count_documents`; `wanted` is the filter, and the column to count by."""
    where, by = _where(cursor, wanted[0]), wanted[1]
    sql = f"SELECT d.{by}, count(*) FROM {where.source} WHERE {where.condition} GROUP BY d.{by}"
    return dict(cursor.execute(sql, where.values).fetchall())


def tasks(cursor: sqlite3.Cursor, wanted: TaskFilter) -> list[TaskInfo]:
    """See `Inspect.tasks`."""
    terms: list[tuple[str, Value]] = []
    if wanted.queue is not None:
        terms.append(("queue = ?", wanted.queue))
    if wanted.name is not None:
        terms.append(("name = ?", wanted.name))
    if wanted.parked is not None:
        terms.append(("(parked IS NOT NULL) = ?", int(wanted.parked)))
    where = " AND ".join(text for text, _ in terms) or "1"
    sql = f"""
        SELECT partition, deliveries, owner, parked, id, queue, kind, inbox, name, data
        FROM tasks WHERE {where} ORDER BY seq LIMIT ?"""
    found = cursor.execute(sql, [*(value for _, value in terms), wanted.limit]).fetchall()
    return [TaskInfo(row[0], Task(*row[4:]), row[1], row[2], row[3]) for row in found]


@one_by_one
def release_parked(tx: Tx, ids: Sequence[str]) -> int:
    """See `Inspect.release_parked`."""
    released = 0
    for id_ in ids:
        sql = "UPDATE tasks SET parked = NULL, deliveries = 0, ready = 1 WHERE id = ? AND parked IS NOT NULL RETURNING queue"
        for (queue,) in tx.cursor.execute(sql, (id_,)).fetchall():
            released += 1
            tx.touched.add(tasks_topic(queue))
    return released


@one_by_one
def discard_parked(tx: Tx, asked: Discarding) -> int:
    """See `Inspect.discard_parked`."""
    discarded = 0
    for id_, entry in zip(asked.ids, asked.entries, strict=True):
        sql = "DELETE FROM tasks WHERE id = ? AND parked IS NOT NULL RETURNING partition, inbox"
        for partition, inbox in tx.cursor.execute(sql, (id_,)).fetchall():
            discarded += 1
            tx.append_entry(partition, inbox, entry)
    return discarded


_COUNTS = """
    SELECT 'inbox', (SELECT count(*) FROM inbox), 'tasks', (SELECT count(*) FROM tasks), 'dues', (SELECT count(*) FROM dues),
        'outgoing', (SELECT count(*) FROM outgoing), 'documents', (SELECT count(*) FROM documents),
        'sessions', (SELECT count(*) FROM sessions WHERE expires_ms > ?),
        'leases', (SELECT count(*) FROM leases l JOIN sessions s ON s.id = l.session WHERE s.expires_ms > ?),
        'records', (SELECT count(*) FROM records), 'replies', (SELECT count(*) FROM replies WHERE expires_ms > ?)"""


def counts(cursor: sqlite3.Cursor, now_ms: int) -> dict[str, int]:
    """See `Inspect.counts`."""
    (row,) = cursor.execute(_COUNTS, (now_ms, now_ms, now_ms)).fetchall()
    return dict(zip(cast("tuple[str, ...]", row[::2]), cast("tuple[int, ...]", row[1::2]), strict=True))
