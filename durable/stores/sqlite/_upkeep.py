"""What `durable doctor` asks of a file, and giving its free space back. Each on a connection of its own, in a thread of its own."""

import shutil
import sqlite3
from pathlib import Path

from ..._clock import Clock
from .._upkeep import Finding, Space
from ._connection import Options, connect, patiently
from ._errors import mapped
from ._schema import VERSION

_FREE_BYTES_MIN = 500 * 1024 * 1024  # below it the next burst of work may fill the disk
_FREE_SHARE_WARNED = 0.5  # of the file: worth a VACUUM
_FREE_BYTES_WARNED = 100 * 1024 * 1024
_CHECKED_BYTES_MAX = 1024 * 1024 * 1024  # reading all of it takes some seconds
_WAL_BYTES_WARNED = 1024 * 1024 * 1024  # SQLite begins anew at 4 MB unless somebody reads an old state all the time


def checks(options: Options, clock: Clock) -> list[Finding]:
    """Look at the file. Raises as the store does."""
    connection = connect(options, reads_only=True)
    try:

        def pragma(name: str) -> object:
            return patiently(lambda: connection.execute(f"PRAGMA {name}").fetchone()[0], options, clock)

        page, pages, free = (int(str(pragma(name))) for name in ("page_size", "page_count", "freelist_count"))
        version, mode = pragma("user_version"), pragma("journal_mode")
        damage = pragma("quick_check(1)") if page * pages <= _CHECKED_BYTES_MAX else None
    except sqlite3.Error as error:
        raise mapped(error, options.path) from error
    finally:
        connection.close()
    found = [Finding("ok", "schema", f"SQLite {sqlite3.sqlite_version}, schema version {version} of {VERSION}")]
    if mode != "wal":
        found.append(
            Finding(
                "problem",
                "journal",
                f"journal mode is {mode}, expected wal",
                "close all that use the file, and open it with durable",
            )
        )
    if damage is None:
        found.append(
            Finding(
                "note",
                "integrity",
                "not checked: the file is large",
                "run `sqlite3 FILE 'PRAGMA quick_check'` now and then",
            )
        )
    elif damage != "ok":
        found.append(
            Finding(
                "problem",
                "integrity",
                f"the file is damaged: {damage}",
                "stop all workers, copy the file, and restore a backup or run `sqlite3 FILE .recover`",
            )
        )
    else:
        found.append(Finding("ok", "integrity", "SQLite finds no damage"))
    if options.synchronous != "FULL":
        found.append(
            Finding(
                "note",
                "durability",
                f"synchronous={options.synchronous.lower()}: a power cut may lose the last commits",
            )
        )
    return found + _sizes(options.path, page * pages, page * free)


def _sizes(path: Path, size: int, free: int) -> list[Finding]:
    wal = _size(path.with_name(path.name + "-wal"))
    text = f"{_mb(size)} in the file, {_mb(free)} of it free for new data; {_mb(wal)} in its -wal"
    if wal > _WAL_BYTES_WARNED:
        advice = "something reads an old state all the time, so that the -wal cannot be emptied: end long readers (sqlite3, backups)"
        found = [Finding("warning", "size", text, advice)]
    elif free > _FREE_BYTES_WARNED and free > size * _FREE_SHARE_WARNED:
        found = [Finding("note", "size", text, "`durable prune --vacuum` gives the free space back to the disk")]
    else:
        found = [Finding("ok", "size", text)]
    disk = shutil.disk_usage(path.parent)
    left = f"{_mb(disk.free)} of {_mb(disk.total)} are free on the disk"
    if disk.free < _FREE_BYTES_MIN:
        found.append(
            Finding(
                "problem",
                "disk",
                left,
                "make room: once it is full, nothing is taken any more. `durable prune` removes old runs",
            )
        )
    else:
        found.append(Finding("ok", "disk", left))
    return found


def compact(options: Options, clock: Clock) -> Space:
    """Rewrite the file without its free pages, and empty its log. Others wait meanwhile. Raises as the store does."""
    before = _on_disk(options.path)
    connection = connect(options, reads_only=False)
    try:
        patiently(lambda: connection.execute("VACUUM"), options, clock)
        patiently(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), options, clock)
    except sqlite3.Error as error:
        raise mapped(error, options.path) from error
    finally:
        connection.close()
    return Space(before, _on_disk(options.path))


def _on_disk(path: Path) -> int:
    return _size(path) + _size(path.with_name(path.name + "-wal"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
