"""What people look at, and what they do with parked tasks."""

import json
import re
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, cast

from .._protocol import Document, DocumentFilter, Entry, Task, TaskInfo, tasks_topic
from ._documents import COLUMNS, document_of
from ._statements import Value
from ._writer import Tx, one_by_one

_PARAMETER = re.compile(r":(\w+)")


class Discarding(NamedTuple):
    ids: Sequence[str]
    entries: Sequence[Entry]


class TaskFilter(NamedTuple):
    queue: str | None
    name: str | None
    parked: bool | None
    limit: int


def _where(wanted: DocumentFilter) -> tuple[str, dict[str, Value]]:
    """Return the condition for `wanted`, and the values of its parameters."""
    terms: list[tuple[bool, str, Value]] = [
        (wanted.name is not None, "name = :name", wanted.name),
        (wanted.name_prefix is not None, "substr(name, 1, length(:prefix)) = :prefix", wanted.name_prefix),
        (bool(wanted.kinds), "kind IN (SELECT value FROM json_each(:kinds))", json.dumps(list(wanted.kinds))),
        (bool(wanted.states), "state IN (SELECT value FROM json_each(:states))", json.dumps(list(wanted.states))),
        (wanted.noted is not None, "(note <> '') = :noted", int(bool(wanted.noted))),
        (wanted.created_after_ms is not None, "created_ms >= :after", wanted.created_after_ms),
        (wanted.created_before_ms is not None, "created_ms < :before", wanted.created_before_ms),
        (wanted.before_id is not None, "id < :before_id", wanted.before_id),
    ]
    asked = [(text, value) for is_asked, text, value in terms if is_asked]
    values = {_PARAMETER.findall(text)[0]: value for text, value in asked}
    return " AND ".join(text for text, _ in asked) or "1", values


def documents(cursor: sqlite3.Cursor, wanted: tuple[DocumentFilter, int]) -> list[tuple[int, Document]]:
    """See `Inspect.documents`."""
    where, values = _where(wanted[0])
    sql = f"SELECT partition, {COLUMNS} FROM documents WHERE {where} ORDER BY id DESC, partition DESC LIMIT :limit"
    return [(row[0], document_of(row[1:])) for row in cursor.execute(sql, {**values, "limit": wanted[1]}).fetchall()]


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
        'sessions', (SELECT count(*) FROM sessions WHERE expires_ms > ?),
        'leases', (SELECT count(*) FROM leases l JOIN sessions s ON s.id = l.session WHERE s.expires_ms > ?),
        'records', (SELECT count(*) FROM records), 'replies', (SELECT count(*) FROM replies WHERE expires_ms > ?)"""


def counts(cursor: sqlite3.Cursor, now_ms: int) -> dict[str, int]:
    """See `Inspect.counts`."""
    (row,) = cursor.execute(_COUNTS, (now_ms, now_ms, now_ms)).fetchall()
    return dict(zip(cast("tuple[str, ...]", row[::2]), cast("tuple[int, ...]", row[1::2]), strict=True))
