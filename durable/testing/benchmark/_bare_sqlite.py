"""The floor on SQLite: bare `sqlite3` writes the same rows into the same tables, with the same settings."""

import gc
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ...stores.sqlite._connection import Options, connect
from ._bare import BATCH, Monotonic, flat, groups
from ._calls import Calls, Row, Write

# In this order within a transaction, so that what is removed was there.
_STATEMENTS = {
    "document": """INSERT INTO documents (partition, id, name, inbox, request, kind, state, created_ms, open, note, body)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "entry": "INSERT INTO inbox (seq, partition, inbox, id, name, data) VALUES (?, ?, ?, ?, ?, ?)",
    "entry read": "DELETE FROM inbox WHERE seq = ?",
    "record": "INSERT INTO records (partition, stream, seq, data) VALUES (?, ?, ?, ?)",
    "task": """INSERT OR REPLACE INTO tasks (id, partition, seq, queue, kind, inbox, name, owner, ready, deliveries, data)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "claimed": "UPDATE tasks SET owner = ?, ready = 0, deliveries = deliveries + 1 WHERE id = ?",
    "task done": "DELETE FROM tasks WHERE id = ?",
    "due": "INSERT OR REPLACE INTO dues (partition, inbox, key, due_ms, data) VALUES (?, ?, ?, ?, ?)",
    "due done": "DELETE FROM dues WHERE partition = ? AND inbox = ? AND key = ?",
    "updated": """UPDATE documents SET state = ifnull(?, state), open = ifnull(?, open), body = ifnull(?, body),
        closed_ms = ifnull(?, closed_ms) WHERE id = ? AND partition = ?""",
    "reply": "INSERT OR REPLACE INTO replies (partition, id, expires_ms, data) VALUES (?, ?, ?, ?)",
}


class BareSqlite:
    """See `Bare`. `empty` returns the path of a new file with the tables of the store, and removes it with `drop`."""

    def __init__(
        self, empty: Callable[[], Path], drop: Callable[[Path], None], synchronous: str, monotonic: Monotonic
    ) -> None:
        self._empty, self._drop, self._synchronous, self._monotonic = empty, drop, synchronous, monotonic

    def seconds(self, calls: Calls, *, singly: bool) -> float:
        """See `Bare`."""
        transactions = [_by_statement(each) for each in _batches(calls, singly=singly)]
        path = self._empty()
        try:
            database = connect(Options(path, str(path), self._synchronous), reads_only=False)
            gc.collect()
            gc.freeze()  # what was recorded is many objects, which are no part of the work
            try:
                return self._written(database, transactions)
            finally:
                gc.unfreeze()
                database.close()
        finally:
            self._drop(path)

    def _written(self, database: sqlite3.Connection, transactions: Sequence[Sequence[tuple[str, list[Row]]]]) -> float:
        cursor = database.cursor()
        began = self._monotonic()
        for transaction in transactions:
            cursor.execute("BEGIN IMMEDIATE")
            for statement, rows in transaction:
                cursor.executemany(statement, rows)
            cursor.execute("COMMIT")
        return self._monotonic() - began


def _batches(calls: Calls, *, singly: bool) -> list[list[Write]]:
    if singly:
        return list(groups(calls))
    writes = flat(groups(calls))
    return [writes[first : first + BATCH] for first in range(0, len(writes), BATCH)]


_unread = count(1)  # what nobody read has no number that anybody knows


def _by_statement(writes: Sequence[Write]) -> list[tuple[str, list[Row]]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for kind, row in writes:
        rows[kind].append(_parameters(kind, row))
    return [(sql, rows[kind]) for kind, sql in _STATEMENTS.items() if kind in rows]


def _parameters(kind: str, row: Row) -> Row:
    last: Any = row[-1]
    match kind:
        case "document":
            return (
                row[0], last.id, last.name, last.inbox, last.request, last.kind, last.state, last.created_ms, 1, last.note, last.body,
            )  # fmt: skip
        case "entry":
            return (row[2] or -next(_unread), row[0], row[1], last.id, last.name, last.data)
        case "entry read" | "task done":
            return (last,)
        case "task":
            free = last.claimed_by is None
            return (
                last.id, row[0], next(_unread), last.queue, last.kind, last.inbox, last.name, last.claimed_by, int(free), int(not free),
                last.data,
            )  # fmt: skip
        case "claimed":
            return (last, row[1])
        case "due":
            return (*row[:2], last.key, last.due_ms, last.data)
        case "updated":
            update = row[1]
            is_open = 0 if update.closes else 1 if update.opens else None
            return (update.state, is_open, update.body, update.closed_ms, update.id, row[0])
        case "reply":
            return (row[0], last.id, last.ttl_ms, last.data)
        case _:
            return row  # a record, or the key of a due
