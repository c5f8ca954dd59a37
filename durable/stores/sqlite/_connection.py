"""Opening the file: first see what it is, without touching it; then make it ours or leave it alone."""

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TypeVar

from ..._clock import Clock
from ...errors import StoreFormatError
from ._errors import is_busy
from ._statements import CACHED_STATEMENTS

APPLICATION_ID = 0x64757261  # "dura", at offset 68 of the file
_MAGIC = b"SQLite format 3\0"
_CACHE_KIB = 32 * 1024  # the pages that runs in flight touch; SQLite's default of 2 MB rereads them from the kernel
_DELAY_S_MIN, _DELAY_S_MAX = (
    0.0005,
    0.003,
)  # another process's transaction takes a few ms, and it leaves only small gaps
_PATIENT_AFTER_S, _DELAY_S_PATIENT = 1.0, 0.02  # past that it is no busy neighbour but something that holds on

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is opened."""

    path: Path
    shown: str
    synchronous: str = "FULL"
    busy_timeout_s: float = 10.0
    partitions: int | None = None  # asked for; None: as the file has it


def connect(options: Options, *, reads_only: bool) -> sqlite3.Connection:
    """Open a connection for the current thread, with every setting that lasts as long as it does."""
    connection = sqlite3.connect(
        options.path, timeout=0, isolation_level=None, cached_statements=CACHED_STATEMENTS, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA synchronous={options.synchronous}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store=MEMORY")
        if sys.platform == "darwin" and options.synchronous == "FULL":
            connection.execute("PRAGMA fullfsync=1")  # fsync alone leaves the data in the drive's cache there
        if reads_only:
            connection.execute("PRAGMA query_only=1")
    except BaseException:
        connection.close()
        raise
    return connection


def patiently(work: Callable[[], T], options: Options, clock: Clock) -> T:
    """Return `work()`, repeated with growing, jittered delays while another process holds the file, at most for the busy timeout.

    The time waited is added up, not read from the clock: a test's clock may stand still while another process works.
    """
    waited_s, delay_s, never = 0.0, _DELAY_S_MIN, Event()
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or waited_s >= options.busy_timeout_s:
                raise
        actual_s = delay_s * (0.5 + clock.jitter())
        never.wait(actual_s)
        waited_s += actual_s
        delay_s = min(delay_s * 1.5, _DELAY_S_MAX) if waited_s < _PATIENT_AFTER_S else _DELAY_S_PATIENT


def check_file(path: Path) -> None:
    """Raise `StoreFormatError` if there is a file at `path` that is no SQLite database. Looks at its first bytes only."""
    if path.is_dir():
        raise StoreFormatError(f"{path} is a folder; expected a file")
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC:
        raise StoreFormatError(f"{path} is no SQLite database (it starts with {start!r}); it was not touched")


def file_at(path: Path) -> tuple[int, int] | None:
    """Return which file is at `path`, by its device and number; None if there is none, or it cannot be told."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
