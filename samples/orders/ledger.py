"""The outside ledger: what warehouse, payment provider, carrier and post really did. A SQLite file of its own.

It belongs to the world, not to the shop, and knows nothing of workflows; so it can prove what they did. Every call from
outside is an attempt; what a call changes is an effect, and a second call with the same idempotency key changes nothing.
"""

import os
import sqlite3
import threading
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, order_id TEXT NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL,
    pid INTEGER NOT NULL, outcome TEXT NOT NULL  -- begun, done, repeated, lost, failed, refused
);
CREATE INDEX IF NOT EXISTS attempts_by_key ON attempts (kind, key);
CREATE TABLE IF NOT EXISTS effects (
    kind TEXT NOT NULL, key TEXT NOT NULL, order_id TEXT NOT NULL, currency TEXT NOT NULL, cents INTEGER NOT NULL,
    note TEXT NOT NULL, PRIMARY KEY (kind, key)
);
CREATE INDEX IF NOT EXISTS effects_by_order ON effects (order_id, kind);
"""
# "begun" stays in the file if the caller's process died in the middle. "repeated": the key was known, nothing changed.
# "lost": the effect took place, but the answer did not get through. "failed": an error that may pass. "refused": a final no.


class Ledger:
    """The ledger at `path`, made if it is not there. Usable from any thread."""

    def __init__(self, path: str | Path) -> None:
        # A worker that is killed takes nothing with it that was committed; only the machine could. So no fsync is needed here.
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")
        self._lock = threading.Lock()

    def begin(self, kind: str, order_id: str, key: str, attempt: int) -> int:
        """Book that a call has come in; return its number."""
        row = (kind, order_id, key, attempt, os.getpid())
        with self._lock:
            sql = "INSERT INTO attempts (kind, order_id, key, attempt, pid, outcome) VALUES (?, ?, ?, ?, ?, 'begun')"
            return self._db.execute(sql, row).lastrowid or 0

    def effect(self, call: int, currency: str, cents: int, note: str) -> bool:
        """Do what the call asks for, unless its key was seen before; return whether anything was done."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                done = self._db.execute(
                    "INSERT OR IGNORE INTO effects (kind, key, order_id, currency, cents, note)"
                    " SELECT kind, key, order_id, ?, ?, ? FROM attempts WHERE id = ?",
                    (currency, cents, note, call),
                ).rowcount
                self._outcome(call, "done" if done else "repeated")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return bool(done)

    def end(self, call: int, outcome: str) -> None:
        """Book how a call ended that did not just work: "lost", "failed" or "refused"."""
        with self._lock:
            self._outcome(call, outcome)

    def counts(self) -> dict[str, int]:
        """Return the number of effects by kind."""
        with self._lock:
            return dict(self._db.execute("SELECT kind, count(*) FROM effects GROUP BY kind"))

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Return what a query finds, for the audit."""
        with self._lock:
            return self._db.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _outcome(self, call: int, outcome: str) -> None:
        self._db.execute("UPDATE attempts SET outcome = ? WHERE id = ?", (outcome, call))
