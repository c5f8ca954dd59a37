"""Statements over many rows at once, in few shapes.

Python's `sqlite3` gives up and takes back the interpreter's lock at each step of a statement, and may wait 5 ms for it while
another thread computes. So one statement over 100 rows is much quicker than 100 runs of a statement over one, and an answer
of one row than an answer of many. Each shape is prepared once and kept.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache

Value = str | int | float | bytes | None

ROWS_MAX = 512  # with 13 columns still far below SQLite's 32,766 parameters
_STEP = 16  # n rows are written as a multiple of 16 and a rest: two statements, and 47 shapes a table
CACHED_STATEMENTS = 1_000  # holds all shapes of all tables


def pieces(count: int) -> Iterator[tuple[int, int]]:
    """Cut `count` rows into (start, size) of few different sizes."""
    start = 0
    while count - start > ROWS_MAX:
        yield start, ROWS_MAX
        start += ROWS_MAX
    even = (count - start) // _STEP * _STEP
    if even:
        yield start, even
        start += even
    if count > start:
        yield start, count - start


@lru_cache(maxsize=CACHED_STATEMENTS)
def _with_values(sql: str, width: int, count: int) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return sql.replace("{values}", ",".join([row] * count))


@lru_cache(maxsize=CACHED_STATEMENTS)
def _with_marks(sql: str, count: int) -> str:
    return sql.replace("{marks}", ",".join("?" * count))


def write_rows(cursor: sqlite3.Cursor, sql: str, width: int, flat: Sequence[Value]) -> None:
    """Run `sql`, whose "{values}" stands for the rows; `flat` holds their values one after the other."""
    for start, size in pieces(len(flat) // width):
        cursor.execute(_with_values(sql, width, size), flat[start * width : (start + size) * width])


def query_rows(cursor: sqlite3.Cursor, sql: str, width: int, flat: Sequence[Value]) -> Iterator[tuple[Value, ...]]:
    """Like `write_rows`, for a query; yields the rows of all answers."""
    for start, size in pieces(len(flat) // width):
        yield from cursor.execute(
            _with_values(sql, width, size), flat[start * width : (start + size) * width]
        ).fetchall()


def for_each(cursor: sqlite3.Cursor, sql: str, before: Sequence[Value], keys: Sequence[Value]) -> int:
    """Run `sql`, whose "{marks}" stands for the `keys`, after the parameters `before`; return how many rows it changed."""
    changed = 0
    for start in range(0, len(keys), ROWS_MAX):
        some = list(keys[start : start + ROWS_MAX])
        some += some[-1:] * (-len(some) % _STEP)  # the last key again, to have few shapes
        changed += cursor.execute(_with_marks(sql, len(some)), [*before, *some]).rowcount
    return changed
