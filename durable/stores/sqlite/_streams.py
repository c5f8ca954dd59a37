"""Reading streams, inboxes, dues and what goes out."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from .._protocol import Due, InboxEntry, Lease, Outgoing
from ._errors import code_of
from ._statements import Value

# One answer of one row: see `_statements`. The inner query is materialized in its order, since it has a limit.
_PAGE = """
    SELECT group_concat(hex(data)) FROM (
        SELECT data FROM records WHERE partition = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?
    )"""
_PAGE_BY_ROW = "SELECT data FROM records WHERE partition = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?"
_INBOX = """
    SELECT * FROM (
        SELECT ? AS number, seq, id, name, data, at_ms FROM inbox WHERE partition = ? AND inbox = ? AND seq > ? ORDER BY seq LIMIT ?
    )"""
_UNION_MAX = 100  # SQLite joins 500 at most


class Page(NamedTuple):
    partition: int
    stream: str
    after: int
    limit: int


def read(cursor: sqlite3.Cursor, page: Page) -> list[bytes]:
    """See `Store.read`."""
    try:
        ((text,),) = cursor.execute(_PAGE, page).fetchall()
    except (sqlite3.DataError, OverflowError, MemoryError, sqlite3.OperationalError) as error:
        if isinstance(error, sqlite3.OperationalError) and code_of(error) != sqlite3.SQLITE_TOOBIG:
            raise
        return [data for (data,) in cursor.execute(_PAGE_BY_ROW, page).fetchall()]  # over SQLite's limit for one value
    return [] if text is None else [bytes.fromhex(part) for part in text.split(",")]


def read_last(cursor: sqlite3.Cursor, wanted: tuple[int, str]) -> tuple[int, bytes] | None:
    """See `Store.read_last`."""
    sql = "SELECT seq, data FROM records WHERE partition = ? AND stream = ? ORDER BY seq DESC LIMIT 1"
    rows: list[tuple[int, bytes]] = cursor.execute(sql, wanted).fetchall()
    return rows[0] if rows else None


def read_inboxes(cursor: sqlite3.Cursor, wanted: tuple[Sequence[tuple[Lease, int]], int]) -> list[list[InboxEntry]]:
    """See `Store.read_inboxes`."""
    reads, limit = wanted
    found: list[list[InboxEntry]] = [[] for _ in reads]
    for start in range(0, len(reads), _UNION_MAX):
        some = reads[start : start + _UNION_MAX]
        flat: list[Value] = []
        for number, (lease, after) in enumerate(some, start):
            flat += (number, lease.partition, lease.inbox, after, limit)
        rows: list[tuple[int, int, str, str, bytes, int]] = cursor.execute(
            " UNION ALL ".join([_INBOX] * len(some)), flat
        ).fetchall()
        for number, seq, id_, name, data, at_ms in rows:
            found[number].append(InboxEntry(seq, id_, name, data, at_ms))
    return found


def read_dues(cursor: sqlite3.Cursor, wanted: tuple[Lease, int, int]) -> list[Due]:
    """See `Store.read_dues`."""
    lease, until_ms, limit = wanted
    sql = "SELECT key, due_ms, data FROM dues WHERE partition = ? AND inbox = ? AND due_ms <= ? ORDER BY due_ms, key LIMIT ?"
    return [Due(*row) for row in cursor.execute(sql, (lease.partition, lease.inbox, until_ms, limit)).fetchall()]


def read_outgoing(cursor: sqlite3.Cursor, wanted: tuple[Lease, int]) -> list[Outgoing]:
    """See `Store.read_outgoing`."""
    lease, limit = wanted
    sql = "SELECT id, target, data FROM outgoing WHERE partition = ? AND inbox = ? ORDER BY seq LIMIT ?"
    return [Outgoing(*row) for row in cursor.execute(sql, (lease.partition, lease.inbox, limit)).fetchall()]
