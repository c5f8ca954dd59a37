"""What people look at, and what they do with parked tasks."""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, cast

from .._protocol import Document, DocumentFilter, Entry, Task, TaskInfo, tasks_topic
from ._documents import COLUMNS, document_of
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


def _where(wanted: DocumentFilter) -> tuple[str, list[Value]]:
    terms: list[tuple[str, Value]] = []
    if wanted.name is not None:
        terms.append(("name = ?", wanted.name))
    if wanted.name_prefix is not None:
        terms.append(("substr(name, 1, length(?1)) = ?1", wanted.name_prefix))
    if wanted.kinds:
        terms.append(("kind IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.kinds))))
    if wanted.states:
        terms.append(("state IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.states))))
    if wanted.noted is not None:
        terms.append(("(note <> '') = ?", int(wanted.noted)))
    if wanted.created_after_ms is not None:
        terms.append(("created_ms >= ?", wanted.created_after_ms))
    if wanted.created_before_ms is not None:
        terms.append(("created_ms < ?", wanted.created_before_ms))
    if wanted.before_id is not None:
        terms.append(("id < ?", wanted.before_id))
    numbered = [text.replace("?1", "?").replace("?", f"?{number}") for number, (text, _) in enumerate(terms, 1)]
    return " AND ".join(numbered) or "1", [value for _, value in terms]


def documents(cursor: sqlite3.Cursor, wanted: tuple[DocumentFilter, int]) -> list[tuple[int, Document]]:
    """See `Inspect.documents`."""
    where, values = _where(wanted[0])
    sql = f"SELECT partition, {COLUMNS} FROM documents WHERE {where} ORDER BY id DESC, partition DESC LIMIT ?{len(values) + 1}"
    return [(row[0], document_of(row[1:])) for row in cursor.execute(sql, [*values, wanted[1]]).fetchall()]


def count_documents(cursor: sqlite3.Cursor, wanted: DocumentFilter) -> dict[str, int]:
    """See `Inspect.count_documents`."""
    where, values = _where(wanted)
    return dict(
        cursor.execute(f"SELECT state, count(*) FROM documents WHERE {where} GROUP BY state", values).fetchall()
    )


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
        'sessions', (SELECT count(*) FROM sessions WHERE expires_ms > ?1),
        'leases', (SELECT count(*) FROM leases l JOIN sessions s ON s.id = l.session WHERE s.expires_ms > ?1),
        'records', (SELECT count(*) FROM records), 'replies', (SELECT count(*) FROM replies WHERE expires_ms > ?1)"""


def counts(cursor: sqlite3.Cursor, now_ms: int) -> dict[str, int]:
    """See `Inspect.counts`."""
    (row,) = cursor.execute(_COUNTS, (now_ms,)).fetchall()
    return dict(zip(cast("tuple[str, ...]", row[::2]), cast("tuple[int, ...]", row[1::2]), strict=True))
