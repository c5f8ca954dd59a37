"""Files that an earlier version of the schema made are brought up to date, with all that they hold."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from durable._clock import SystemClock
from durable.stores import ClaimedTask, Condition, Document, DocumentFilter, DocumentUpdate, Task, open_store
from durable.stores.sqlite import _connection, _schema
from durable.testing.conformance._base import INBOX, NAME, P, applied, document, entry, inbox_of, lease_for


def make_of_version_1(path: Path) -> None:
    """Make a file as the first version of the schema made it, with a run under way."""
    options = _connection.Options(path, str(path), partitions=4)
    connection = _connection.connect(options, reads_only=False)
    assert _schema.prepare(connection, options, SystemClock(), _schema.steps()[:1]) == 4
    new = document()
    connection.execute(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (P, new.id, NAME, INBOX, new.request, new.kind, new.state, new.created_ms, 1, "", None, new.body),
    )
    connection.execute("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)", (1, P, INBOX, "e-1", NAME, b"hello"))
    connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (P, "history", 1, b"1"))
    connection.execute(
        "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ("t-1", P, 2, "work", "charge", INBOX, NAME, None, 1, 0, None, b"task", None),
    )
    connection.execute("UPDATE settings SET value = 2 WHERE name = 'seq'")
    connection.close()


async def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    """Documents have no attributes, tasks are not cancelled, and both can be from now on."""
    path = tmp_path / "store.db"
    make_of_version_1(path)
    async with open_store(f"sqlite:///{path}") as store:
        assert store.partitions == 4
        assert await store.document(P, name=NAME) == document()
        assert [each.id for each in await inbox_of(store)] == ["e-1"]
        assert await store.read(P, "history") == [b"1"]
        lease = await lease_for(store)
        update = DocumentUpdate("d-01", NAME, attributes={"customer": "c-1"})
        second: Document = replace(document("d-02", "order-2", request="r-2"), attributes={"customer": "c-1"})
        await applied(
            store, lease, documents=[update], created=[(second, entry("e-2", "order-2"))], tasks_cancelled=["t-1"]
        )
        found = await store.inspect.documents(DocumentFilter(attributes=[Condition("customer", "=", "c-1")]), limit=9)
        assert [each.id for _, each in found] == ["d-02", "d-01"]
        expected = ClaimedTask(P, Task("t-1", "work", "charge", INBOX, NAME, b"task"), 1, cancelled=True)
        assert await store.claim("s-1", "work", ["charge"], 10) == [expected]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(_schema.VERSION,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_migrated_file_is_as_a_new_one(tmp_path: Path) -> None:
    """Step by step or all at once: the same tables and indexes."""
    schemas: list[list[tuple[object, ...]]] = []
    for name, stages in (("old", (1, 2)), ("new", (2,))):
        path = tmp_path / name
        options = _connection.Options(path, str(path))
        connection = _connection.connect(options, reads_only=False)
        for stage in stages:
            _schema.prepare(connection, options, SystemClock(), _schema.steps()[:stage])
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]
    assert len(schemas[0]) > 10
