"""Claiming tasks and ending them."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from ... import _limits
from ...errors import ClaimLostError
from .._protocol import ClaimedTask, Entry, Task, tasks_topic
from .._rules import PARKED
from ._leases import any_expired, is_alive, reap
from ._statements import Value, for_each, query_rows
from ._writer import Tx, one_by_one, probed_by

_KINDS_MAX = 100  # terms of one union; SQLite takes 500 at most
# One seek for each kind, so that a long queue of a kind that nobody here knows costs nothing.
_READY = "SELECT * FROM (SELECT seq, id FROM tasks WHERE ready AND queue = ? AND kind = ? ORDER BY seq LIMIT ?)"
_TAKEN = "SELECT id, partition, queue, kind, inbox, name, data, deliveries, details, cancelled FROM tasks WHERE id = ?"


class Claiming(NamedTuple):
    session: str
    queue: str
    kinds: Sequence[str]
    limit: int


class Completion(NamedTuple):
    session: str
    claimed: ClaimedTask
    entry: Entry


class Unclaiming(NamedTuple):
    session: str
    tasks: Sequence[str]


class Progress(NamedTuple):
    session: str
    task: str
    details: bytes


def _ready(tx: Tx, asked: Claiming, limit: int) -> list[str]:
    """Return the ids of the oldest ready tasks of these kinds, in order."""
    found: list[tuple[int, str]] = []
    kinds = list(dict.fromkeys(asked.kinds))
    for start in range(0, len(kinds), _KINDS_MAX):
        some = kinds[start : start + _KINDS_MAX]
        flat: list[Value] = []
        for kind in some:
            flat += (asked.queue, kind, limit)
        found += tx.cursor.execute(
            " UNION ALL ".join([_READY] * len(some)) + " ORDER BY 1 LIMIT ?", [*flat, limit]
        ).fetchall()
    return [id_ for _, id_ in sorted(found)[:limit]]


def _may_claim(tx: Tx, asked: Claiming) -> bool:
    return asked.limit > 0 and bool(any_expired(tx) or _ready(tx, asked, 1))


@probed_by(_may_claim, list[ClaimedTask])
@one_by_one
def claim(tx: Tx, asked: Claiming) -> list[ClaimedTask]:
    """See `Store.claim`."""
    claimed: list[ClaimedTask] = []
    if not _may_claim(tx, asked) or not is_alive(tx, asked.session):
        return claimed
    reap(tx)
    while len(claimed) < asked.limit:
        ids = _ready(tx, asked, asked.limit - len(claimed))
        if not ids:
            break
        rows = [row for id_ in ids for row in tx.cursor.execute(_TAKEN, (id_,)).fetchall()]
        spent = [row[0] for row in rows if row[7] >= _limits.TASK_DELIVERIES_MAX]
        fresh = [row for row in rows if row[7] < _limits.TASK_DELIVERIES_MAX]
        for_each(
            tx.cursor, "UPDATE tasks SET parked = ?, owner = NULL, ready = 0 WHERE id IN ({marks})", [PARKED], spent
        )
        taken = "UPDATE tasks SET owner = ?, ready = 0, deliveries = deliveries + 1 WHERE id IN ({marks})"
        for_each(tx.cursor, taken, [asked.session], [row[0] for row in fresh])
        claimed += [_claimed(row, asked.session) for row in fresh]
    return claimed


def _claimed(row: tuple[object, ...], session: str) -> ClaimedTask:
    id_, partition, queue, kind, inbox, name, data, deliveries, details, cancelled = cast(
        "tuple[str, int, str, str, str, str, bytes, int, bytes | None, int]", row
    )
    return ClaimedTask(partition, Task(id_, queue, kind, inbox, name, data), deliveries + 1, details, bool(cancelled))


_NOT_HELD = """
    SELECT group_concat(v.column1) FROM (VALUES {values}) v
    LEFT JOIN tasks t ON t.id = v.column2 AND t.owner = v.column3 WHERE t.id IS NULL"""


def complete(tx: Tx, calls: Sequence[Completion]) -> list[BaseException | None]:
    """See `Store.complete`."""
    flat: list[Value] = []
    for index, call in enumerate(calls):
        flat += (index, call.claimed.task.id, call.session)
    lost = {
        index
        for (text,) in query_rows(tx.cursor, _NOT_HELD, 3, flat)
        for index in map(int, str(text or "").split(",") if text is not None else ())
    }
    answers: list[BaseException | None] = []
    done = dict[str, None]()
    for index, (session, claimed, entry) in enumerate(calls):
        id_ = claimed.task.id
        if index in lost or id_ in done:
            answers.append(ClaimLostError(f"the task {id_!r} is not claimed by {session!r}"))
            continue
        done[id_] = None
        tx.append_entry(claimed.partition, claimed.task.inbox, entry)
        answers.append(None)
    for_each(tx.cursor, "DELETE FROM tasks WHERE id IN ({marks})", [], list(done))
    return answers


@one_by_one
def unclaim(tx: Tx, asked: Unclaiming) -> None:
    """See `Store.unclaim`."""
    for id_ in asked.tasks:
        sql = "UPDATE tasks SET owner = NULL, ready = 1, deliveries = deliveries - 1 WHERE id = ? AND owner = ? RETURNING queue"
        tx.touched.update(tasks_topic(queue) for (queue,) in tx.cursor.execute(sql, (id_, asked.session)).fetchall())


@one_by_one
def note_progress(tx: Tx, asked: Progress) -> bool:
    """See `Store.note_progress`."""
    sql = "UPDATE tasks SET details = ? WHERE id = ? AND owner = ?"
    return tx.cursor.execute(sql, (asked.details, asked.task, asked.session)).rowcount > 0
