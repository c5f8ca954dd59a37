"""The schema and its versions: numbered steps, each applied in one transaction, only ever forward."""

import sqlite3
from collections.abc import Sequence
from importlib.resources import files

from ..._clock import Clock
from ...errors import StoreFormatError, StoreUrlError
from .._rules import PARTITIONS_DEFAULT
from ._connection import APPLICATION_ID, Options, patiently

VERSION = 3


def steps() -> list[str]:
    """Return the SQL of every step, the first one first."""
    folder = files("durable.stores.sqlite") / "schema"
    return [(folder / f"{number:04}.sql").read_text("utf-8") for number in range(1, VERSION + 1)]


def prepare(
    connection: sqlite3.Connection, options: Options, clock: Clock, migrations: Sequence[str] | None = None
) -> int:
    """Make the file a store, or bring it up to date, or leave it as it is; return its number of partitions.

    Raises `StoreFormatError` for another application's database or one that is newer than this code, and `StoreUrlError`
    if it has another number of partitions than asked for; the file is untouched then.
    """
    newest = VERSION if migrations is None else len(migrations)
    version = patiently(lambda: _version(connection, options, newest), options, clock)
    if version > 0:
        patiently(lambda: _partitions(connection, options), options, clock)
    if version < newest:
        wanted = steps() if migrations is None else migrations
        patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone(), options, clock)
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"), options, clock)
        try:
            _migrate(connection, options, wanted)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    else:
        patiently(
            lambda: connection.execute("BEGIN IMMEDIATE"), options, clock
        )  # is it read-only? Better to know it now
        connection.execute("ROLLBACK")
    return patiently(lambda: _partitions(connection, options), options, clock)


def _version(connection: sqlite3.Connection, options: Options, known: int) -> int:
    """Return the version of the file's schema, 0 for an empty file. Reads only."""
    application, version, tables = _identity(connection)
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise StoreFormatError(
            f"{options.path} is the database of another application (id {application:#x}); it was not touched"
        )
    if version > known:
        raise StoreFormatError(
            f"{options.path} has schema version {version}, and this code knows versions up to {known}: upgrade durable. It was not touched"
        )
    return int(version)


def _identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return the file's application id, its schema's version and its number of tables, all as of one moment.

    Read one by one, they could be from before and after another process made its schema, and look like a stranger's file.
    """
    begins = not connection.in_transaction
    if begins:
        connection.execute("BEGIN")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        if begins and connection.in_transaction:
            connection.execute("ROLLBACK")
    return int(application), int(version), int(tables)


def _migrate(connection: sqlite3.Connection, options: Options, wanted: Sequence[str]) -> None:
    version = _version(connection, options, len(wanted))  # again: another process may have been first
    for number, script in enumerate(wanted[version:], version + 1):
        for statement in statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={number}")
    if version == 0:
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        partitions = options.partitions or PARTITIONS_DEFAULT
        connection.execute("INSERT INTO settings (name, value) VALUES ('partitions', ?)", (partitions,))


def statements(script: str) -> list[str]:
    """Cut a script into statements, each of which ends with a line. (`executescript` would commit the transaction under way.)"""
    found, lines = list[str](), list[str]()
    for line in script.splitlines():
        lines.append(line)
        text = "\n".join(lines)
        if sqlite3.complete_statement(text):
            found.append(text)
            lines.clear()
    return found


def _partitions(connection: sqlite3.Connection, options: Options) -> int:
    (partitions,) = connection.execute("SELECT value FROM settings WHERE name = 'partitions'").fetchone()
    if options.partitions is not None and options.partitions != partitions:
        raise StoreUrlError(
            f"store URL {options.shown!r}: the file has {partitions} partitions, not {options.partitions}; their number cannot change"
        )
    return int(partitions)
