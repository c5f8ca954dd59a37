"""The thread that reads: on a connection of its own, so that no read waits for a write.

Each read is one statement, so it sees one state of the file. In WAL mode that is the state of the last commit when the
statement starts: a read that was asked for after a write was acknowledged sees that write.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from ..._clock import Clock
from ._connection import Options, connect, patiently
from ._errors import mapped
from ._lane import Call, Lane, Pair

A = TypeVar("A")
R = TypeVar("R")


class Reader(Lane):
    """Reads for one store."""

    def __init__(self, options: Options, clock: Clock) -> None:
        super().__init__(f"durable reader of {options.path}")
        self._options, self._clock = options, clock
        self._connection: sqlite3.Connection
        self._cursor: sqlite3.Cursor

    def submit(self, work: Callable[[sqlite3.Cursor, A], R], argument: A) -> "asyncio.Future[R]":
        """Queue a read; await what is returned for its answer."""
        return cast("asyncio.Future[R]", self._submit(work, argument))

    def _open(self) -> None:
        try:
            self._connection = patiently(lambda: connect(self._options, reads_only=True), self._options, self._clock)
        except sqlite3.Error as error:
            raise mapped(error, self._options.path) from error
        self._cursor = self._connection.cursor()

    def _close(self) -> None:
        self._connection.close()

    def _round(self, calls: Sequence[Call]) -> Sequence[Pair]:
        return [(call, self._answer(call)) for call in calls]

    def _answer(self, call: Call) -> object:
        try:
            return patiently(lambda: call.work(self._cursor, call.argument), self._options, self._clock)
        except BaseException as error:
            explained = mapped(error, self._options.path)
            if explained is not error:
                explained.__cause__ = error
            return explained
