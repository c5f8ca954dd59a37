"""Sessions and leases. A lease is held while its session is alive, so renewing a session renews everything that it holds."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from .._protocol import Lease, Renewal, SessionInfo, inbox_topic, tasks_topic
from .._rules import SESSION_KEPT_MS
from ._writer import Tx, one_by_one, probed_by


class Beginning(NamedTuple):
    id: str
    group: str
    data: bytes
    ttl_ms: int


class Renewing(NamedTuple):
    session: str
    ttl_ms: int
    leases: Sequence[Lease]
    tasks: Sequence[str]


class Acquiring(NamedTuple):
    session: str
    inbox: str
    partitions: Sequence[int]


def is_alive(tx: Tx, session: str) -> bool:
    """Return whether the session exists and has not expired."""
    return bool(
        tx.cursor.execute("SELECT 1 FROM sessions WHERE id = ? AND expires_ms > ?", (session, tx.now_ms)).fetchall()
    )


def any_expired(tx: Tx) -> bool:
    """Return whether the claims of an expired session are yet to be put back into their queues."""
    return bool(
        tx.cursor.execute(
            "SELECT 1 FROM sessions WHERE expires_ms <= ? AND NOT reaped LIMIT 1", (tx.now_ms,)
        ).fetchall()
    )


def reap(tx: Tx) -> None:
    """Put the claims of expired sessions back into their queues. Each stays with its owner until another session takes it."""
    if not any_expired(tx):
        return
    expired = "SELECT id FROM sessions WHERE expires_ms <= ? AND NOT reaped"
    sql = f"UPDATE tasks SET ready = 1 WHERE NOT ready AND owner IN ({expired}) RETURNING queue"
    tx.touched.update(tasks_topic(queue) for (queue,) in tx.cursor.execute(sql, (tx.now_ms,)).fetchall())
    tx.cursor.execute("UPDATE sessions SET reaped = 1 WHERE expires_ms <= ? AND NOT reaped", (tx.now_ms,))


@one_by_one
def begin_session(tx: Tx, new: Beginning) -> None:
    """See `Store.begin_session`."""
    reap(tx)
    forgotten = tx.cursor.execute(
        "SELECT id FROM sessions WHERE expires_ms <= ?", (tx.now_ms - SESSION_KEPT_MS,)
    ).fetchall()
    for (old,) in forgotten:
        free(tx, old)
    tx.cursor.execute(
        "INSERT OR REPLACE INTO sessions (id, kind, data, expires_ms, reaped) VALUES (?, ?, ?, ?, 0)",
        (new.id, new.group, new.data, tx.now_ms + new.ttl_ms),
    )
    _hold_again(tx, new.id)


def _hold_again(tx: Tx, session: str) -> None:
    tx.cursor.execute("UPDATE tasks SET ready = 0 WHERE ready AND owner = ?", (session,))


@one_by_one
def end_session(tx: Tx, session: str) -> None:
    """See `Store.end_session`."""
    free(tx, session)


def free(tx: Tx, session: str) -> None:
    """Forget the session and free what it holds."""
    tx.cursor.execute("DELETE FROM sessions WHERE id = ?", (session,))
    leases = tx.cursor.execute(
        "UPDATE leases SET session = NULL WHERE session = ? RETURNING partition, inbox", (session,)
    ).fetchall()
    tx.touched.update(inbox_topic(*lease) for lease in leases)
    queues = tx.cursor.execute(
        "UPDATE tasks SET owner = NULL, ready = 1 WHERE owner = ? RETURNING queue", (session,)
    ).fetchall()
    tx.touched.update(tasks_topic(queue) for (queue,) in queues)


def sessions(cursor: sqlite3.Cursor, wanted: tuple[str, int]) -> list[SessionInfo]:
    """See `Store.sessions`; `wanted` is the group and the time."""
    sql = "SELECT id, kind, data, expires_ms FROM sessions WHERE kind = ? AND expires_ms > ? ORDER BY id"
    return [SessionInfo(*row) for row in cursor.execute(sql, wanted).fetchall()]


@one_by_one
def renew(tx: Tx, asked: Renewing) -> Renewal:
    """See `Store.renew`."""
    rows = tx.cursor.execute("SELECT expires_ms, reaped FROM sessions WHERE id = ?", (asked.session,)).fetchall()
    if not rows:
        return Renewal(tuple(asked.leases), tuple(asked.tasks), session_expired=True)
    ((expires_ms, reaped),) = rows
    tx.cursor.execute(
        "UPDATE sessions SET expires_ms = ?, reaped = 0 WHERE id = ?", (tx.now_ms + asked.ttl_ms, asked.session)
    )
    if reaped:
        _hold_again(tx, asked.session)
    lost = tuple(lease for lease in asked.leases if lease.session != asked.session or not _is_current(tx, lease))
    held = _held_tasks(tx, asked)
    return Renewal(
        lost,
        tuple(id_ for id_ in asked.tasks if id_ not in held),
        session_expired=expires_ms <= tx.now_ms,
        cancelled=tuple(id_ for id_ in asked.tasks if held.get(id_)),
    )


def _is_current(tx: Tx, lease: Lease) -> bool:
    sql = "SELECT 1 FROM leases WHERE partition = ? AND inbox = ? AND session = ? AND epoch = ?"
    return bool(tx.cursor.execute(sql, (lease.partition, lease.inbox, lease.session, lease.epoch)).fetchall())


def _held_tasks(tx: Tx, asked: Renewing) -> dict[str, int]:
    """Return those of the tasks that the session holds, and whether each is cancelled."""
    held = dict[str, int]()
    for id_ in asked.tasks:
        sql = "SELECT id, cancelled FROM tasks WHERE id = ? AND owner = ?"
        held.update(tx.cursor.execute(sql, (id_, asked.session)).fetchall())
    return held


_FREE = """
    SELECT l.partition, l.session, l.epoch, EXISTS (SELECT 1 FROM sessions s WHERE s.id = l.session AND s.expires_ms > ?)
    FROM leases l WHERE l.inbox = ?"""


def _acquirable(tx: Tx, asked: Acquiring) -> list[tuple[int, int]]:
    """Return those of the partitions that the session may have, each with its new epoch."""
    if not is_alive(tx, asked.session):
        return []
    epochs, held = dict[int, int](), set[int]()
    for partition, session, epoch, alive in tx.cursor.execute(_FREE, (tx.now_ms, asked.inbox)).fetchall():
        epochs[partition] = epoch
        if alive and session != asked.session:
            held.add(partition)
    return [(partition, epochs.get(partition, 0) + 1) for partition in asked.partitions if partition not in held]


def _may_acquire(tx: Tx, asked: Acquiring) -> bool:
    return bool(_acquirable(tx, asked))


@probed_by(_may_acquire, list[Lease])
@one_by_one
def acquire(tx: Tx, asked: Acquiring) -> list[Lease]:
    """See `Store.acquire`."""
    acquired = [Lease(partition, asked.inbox, asked.session, epoch) for partition, epoch in _acquirable(tx, asked)]
    for lease in acquired:
        tx.cursor.execute(
            "INSERT OR REPLACE INTO leases (partition, inbox, session, epoch, last_commit) VALUES (?, ?, ?, ?, NULL)",
            (lease.partition, lease.inbox, lease.session, lease.epoch),
        )
    return acquired


@one_by_one
def release(tx: Tx, leases: Sequence[Lease]) -> None:
    """See `Store.release`."""
    for lease in leases:
        sql = "UPDATE leases SET session = NULL WHERE partition = ? AND inbox = ? AND session = ? AND epoch = ?"
        if tx.cursor.execute(sql, (lease.partition, lease.inbox, lease.session, lease.epoch)).rowcount:
            tx.touched.add(inbox_topic(lease.partition, lease.inbox))


def holders(cursor: sqlite3.Cursor, wanted: tuple[str, int]) -> dict[int, str]:
    """See `Store.holders`; `wanted` is the inbox and the time."""
    sql = """
        SELECT l.partition, l.session FROM leases l JOIN sessions s ON s.id = l.session
        WHERE l.inbox = ? AND s.expires_ms > ? ORDER BY l.partition"""
    return dict(cursor.execute(sql, wanted).fetchall())


def last_commits(cursor: sqlite3.Cursor, leases: Sequence[Lease]) -> list[str | None]:
    """See `Store.last_commits`."""
    sql = "SELECT ifnull(last_commit, '') FROM leases WHERE partition = ? AND inbox = ? AND session = ? AND epoch = ?"
    found = list[str | None]()
    for lease in leases:
        rows = cursor.execute(sql, (lease.partition, lease.inbox, lease.session, lease.epoch)).fetchall()
        found.append(rows[0][0] if rows else None)
    return found
