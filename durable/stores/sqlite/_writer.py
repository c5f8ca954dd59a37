"""The one thread that writes: it takes every call that is queued, runs all in one transaction, and commits once."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TypeVar, cast

from ..._clock import Clock
from ...errors import DurableError, InternalError, StoreUnavailableError
from .._protocol import Entry, inbox_topic
from .._watch import Topics
from ._connection import Options, check_file, connect, file_at, patiently
from ._errors import is_of_one_call, mapped
from ._lane import Call, Lane, Pair
from ._schema import prepare
from ._statements import Value, write_rows

A = TypeVar("A")
R = TypeVar("R")

# How often this thread looks for commits of other processes while somebody waits: (after so many looks in vain, seconds).
# A look costs about 100 microseconds with the wake-up of the thread: 1.1%, 0.5% and 0.25% of a core.
_LOOK_EVERY_S = ((0, 0.01), (30, 0.025), (150, 0.05))
_LOOK_S_PER_WATCH = (
    0.0001  # a commit of another process wakes every watch: 1,000 of them are woken ten times a second at most
)
_LOOK_ROUNDS = 4  # while busy: look after so many transactions


@dataclass(slots=True)
class Tx:
    """A write transaction under way: what the functions that write work with. They check first and write last."""

    cursor: sqlite3.Cursor
    now_ms: int
    partitions: int
    touched: set[str] = field(default_factory=set[str])
    numbered: bool = False  # whether the file's counter was moved
    entries: list[tuple[int, str, Entry]] = field(
        default_factory=list[tuple[int, str, Entry]]
    )  # (partition, inbox, entry)

    def append_entry(self, partition: int, inbox: str, entry: Entry) -> None:
        """Append `entry` to an inbox, unless its id is unread there already."""
        self.entries.append((partition, inbox, entry))
        self.touched.add(inbox_topic(partition, inbox))

    def reserve(self, count: int) -> int:
        """Reserve `count` numbers and return the one before the first."""
        sql = "UPDATE settings SET value = value + ? WHERE name = 'seq' RETURNING value"
        ((last,),) = self.cursor.execute(sql, (count,)).fetchall()
        self.numbered = True
        return int(last) - count

    def write_entries(self) -> None:
        """Write what `append_entry` collected."""
        if not self.entries:
            return
        seq = self.reserve(len(self.entries))
        flat: list[Value] = []
        for partition, inbox, entry in self.entries:
            seq += 1
            flat += (seq, partition, inbox, entry.id, entry.name, entry.data, self.now_ms)
        self.entries.clear()
        sql = "INSERT OR IGNORE INTO inbox (seq, partition, inbox, id, name, data, at_ms) VALUES {values}"
        write_rows(self.cursor, sql, 7, flat)


Work = Callable[[Tx, Sequence[A]], Sequence[R | BaseException]]
"""A function that writes for several calls at once, and answers each: with a result, or with why it was refused."""

_COMES_LAST = set[Callable[..., object]]()
_PROBES: dict[Callable[..., object], tuple[Callable[..., bool], Callable[[], object]]] = {}


def one_by_one(function: Callable[[Tx, A], R]) -> Work[A, R]:
    """Make a function that writes for one call into one that does so for several, one after the other."""

    @wraps(function)
    def run(tx: Tx, arguments: Sequence[A]) -> list[R | BaseException]:
        answers: list[R | BaseException] = []
        for argument in arguments:
            try:
                answers.append(function(tx, argument))
            except DurableError as refusal:
                answers.append(refusal)
        return answers

    return run


def comes_last(work: Work[A, R]) -> Work[A, R]:
    """Mark a function that runs after all others of its transaction, when the inboxes are written."""
    _COMES_LAST.add(work)
    return work


def probed_by(probe: Callable[[Tx, A], bool], otherwise: Callable[[], R]) -> Callable[[Work[A, R]], Work[A, R]]:
    """Mark a function that writes nothing and answers `otherwise()` unless `probe`, which reads only, says that it may have to.

    So those who ask again and again for work or leases do not take turns with those who write.
    """

    def mark(work: Work[A, R]) -> Work[A, R]:
        _PROBES[work] = (probe, otherwise)
        return work

    return mark


class Writer(Lane):
    """Writes for one store. Several processes may write to one file: the transactions take turns."""

    def __init__(self, options: Options, clock: Clock, topics: Topics) -> None:
        super().__init__(f"durable writer of {options.path}")
        self._options, self._clock, self._topics = options, clock, topics
        self.partitions = 0
        self._file: tuple[int, int] | None = None  # which file it is, wherever it is moved
        self._connection: sqlite3.Connection
        self._cursor: sqlite3.Cursor
        self._version: int = 0  # SQLite's number of the last commit of others that was seen
        self._news: int = 0  # the file's counter then
        self._looks: int = 0  # in vain, one after the other
        self._rounds: int = 0

    def submit(self, work: Work[A, R], argument: A) -> "asyncio.Future[R]":
        """Queue a call; await what is returned for its answer, which is durable then."""
        return cast("asyncio.Future[R]", self._submit(work, argument))

    def call(self, work: Work[A, R], argument: A) -> R:
        """Queue a call and block this thread until it is answered."""
        return cast("R", self._call(work, argument))

    # --- the thread

    def _open(self) -> None:
        try:
            check_file(self._options.path)
            self._connection = patiently(lambda: connect(self._options, reads_only=False), self._options, self._clock)
            try:
                self.partitions = prepare(self._connection, self._options, self._clock)
                self._file = file_at(self._options.path)
                self._cursor = self._connection.cursor()
                self._version, self._news = self._data_version(), self._last_number()
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise mapped(error, self._options.path) from error

    def _close(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # others still use the file; the log is kept and read by whoever opens it next
        self._connection.close()

    def _round(self, calls: Sequence[Call]) -> Sequence[Pair]:
        answers = self._answers(calls)
        self._rounds += 1
        if len(self._topics) and self._rounds % _LOOK_ROUNDS == 0:
            self._look()
        return list(zip(calls, answers, strict=True))

    def _answers(self, calls: Sequence[Call]) -> Sequence[object]:
        try:
            tx = Tx(self._cursor, self._clock.now_ms(), self.partitions)
            answers = self._answers_without_writing(tx, calls)
            if answers is None:
                answers = self._in_transaction(tx, calls)
        except BaseException as error:
            if len(calls) > 1 and is_of_one_call(error):
                return [answer for call in calls for answer in self._answers([call])]
            return [self._explained(error)] * len(calls)
        if tx.touched:
            self._looks = 0  # who is busy expects an answer soon
            self._topics.touch(tx.touched)
        return answers

    def _explained(self, error: BaseException) -> BaseException:
        explained = mapped(error, self._options.path)
        if explained is not error:
            explained.__cause__ = error
        return explained

    def _answers_without_writing(self, tx: Tx, calls: Sequence[Call]) -> list[object] | None:
        """Return the answers if no call has anything to write, else None."""
        if any(call.work not in _PROBES for call in calls):
            return None
        answers = list[object]()
        for probe, otherwise, argument in [(*_PROBES[call.work], call.argument) for call in calls]:
            if patiently(partial(probe, tx, argument), self._options, self._clock):
                return None
            answers.append(otherwise())
        return answers

    def _in_transaction(self, tx: Tx, calls: Sequence[Call]) -> list[object]:
        # A file that is moved or removed takes writes as before, and what they acknowledge is lost to everybody else.
        if file_at(self._options.path) != self._file:
            raise StoreUnavailableError(
                f"{self._options.path} was moved, removed or replaced while it was in use: put it back, or restart this "
                "process on the right file. Nothing was written"
            )
        patiently(lambda: self._cursor.execute("BEGIN IMMEDIATE"), self._options, self._clock)
        try:
            answers = self._run(tx, calls)
            if tx.touched and not tx.numbered:
                tx.reserve(1)  # so that other processes know that there is news, and not just a renewal
            self._cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise
        return answers

    def _run(self, tx: Tx, calls: Sequence[Call]) -> list[object]:
        """Run the calls, those of one kind together.

        None of them was answered yet, so they are concurrent and any order is right; calls of one kind keep theirs.
        """
        groups: dict[Callable[..., object], list[int]] = {}
        for index, call in enumerate(calls):
            groups.setdefault(call.work, []).append(index)
        answers: list[object] = [None] * len(calls)
        for work in sorted(groups, key=_COMES_LAST.__contains__):
            if work in _COMES_LAST:
                tx.write_entries()
            indexes = groups[work]
            found = cast("Sequence[object]", work(tx, [calls[index].argument for index in indexes]))
            if len(found) != len(indexes):
                raise InternalError(f"{work} answered {len(found)} of {len(indexes)} calls")
            for index, answer in zip(indexes, found, strict=True):
                answers[index] = answer
        tx.write_entries()
        return answers

    # --- other processes

    def _patience_s(self) -> float | None:
        watches = len(self._topics)
        if not watches:
            return None
        every_s = next(seconds for looks, seconds in reversed(_LOOK_EVERY_S) if self._looks >= looks)
        return max(every_s, watches * _LOOK_S_PER_WATCH)

    def _idle(self) -> None:
        self._looks += 1
        self._look()

    def _look(self) -> None:
        """Wake every watch if another process has committed something of interest.

        Commits of this connection do not change its `data_version`. Of those of others, the ones that touch a topic move the
        file's counter; the rest are renewals and the like, which would wake everyone once a second for nothing.
        """
        try:
            version = self._data_version()
            if version == self._version:
                return
            self._version, before = version, self._news
            self._news = self._last_number()
        except sqlite3.Error:
            return  # a hint, and the next call will tell its caller what is wrong
        if self._news != before:
            self._looks = 0
            self._topics.touch_all()

    def _data_version(self) -> int:
        ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
        return int(version)

    def _last_number(self) -> int:
        ((number,),) = self._connection.execute("SELECT value FROM settings WHERE name = 'seq'").fetchall()
        return int(number)
