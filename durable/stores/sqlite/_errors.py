"""What SQLite's errors mean to a caller."""

import os
import sqlite3
from pathlib import Path

from ...errors import (
    DurableError,
    InternalError,
    StoreFormatError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

VERSION_MIN = (3, 35, 0)  # RETURNING (3.35), UPDATE ... FROM (3.33)


def check_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `StoreUnavailableError` if this Python's SQLite is too old."""
    if version < VERSION_MIN:
        have, need = (".".join(map(str, each)) for each in (version, VERSION_MIN))
        raise StoreUnavailableError(
            f"this Python is linked with SQLite {have}; {need} or newer is needed: use another build of Python"
        )


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code of `error`; 0 if it has none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF if isinstance(code, int) else 0


def is_busy(error: BaseException) -> bool:
    """Return whether another connection was in the way, so that a repeat may succeed."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_of_one_call(error: BaseException) -> bool:
    """Return whether `error` comes from what one call handed in, so that the others of its transaction can go on."""
    return not isinstance(error, sqlite3.Error) or code_of(error) in _CALLER


_CALLER = {
    0,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def mapped(error: BaseException, path: Path) -> BaseException:
    """Return `error` as one of ours, with the file's name; errors that are no error of SQLite are returned as they are."""
    if isinstance(error, DurableError) or not isinstance(error, sqlite3.Error):
        return error
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(f"{path}: {error}; make room on the disk, then try again. Nothing was written")
    if code in _READ_ONLY or (code == sqlite3.SQLITE_CANTOPEN and _is_read_only(path)):
        return StoreReadOnlyError(
            f"{path} cannot be written ({error}); SQLite must be able to write the file and its folder"
        )
    if code in _DAMAGED:
        return StoreFormatError(f"{path} is not a sound SQLite database: {error}")
    if is_busy(error):
        return StoreUnavailableError(
            f"{path} is locked by another process ({error}); is a backup, a shell with an open transaction, or a stopped process holding it?"
        )
    if code in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    ):
        return StoreUnavailableError(f"{path}: {error}; check the disk, and that the folder exists")
    return InternalError(f"{path}: SQLite answered {error}")


def _is_read_only(path: Path) -> bool:
    folder = path.parent
    return folder.is_dir() and not (_may_write(folder) and (not path.exists() or _may_write(path)))


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
