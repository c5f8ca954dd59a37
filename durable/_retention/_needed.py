"""Closed runs that another one still needs: a child whose parent has not recorded what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import _limits
from .._log import RunRecord
from ..errors import HistoryError
from ..history import (
    WIRE,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    ChildStartFailed,
    ChildStartRequested,
    Parent,
    RunReopened,
)
from ..stores import Store

_Child = tuple[int, int]  # the number of its command, and after which reopening of its parent


@dataclass(slots=True)
class _Recorded:
    """What a parent has recorded of its children: each with the number of the event that says so."""

    asked: dict[int, list[tuple[int, int]]] = field(default_factory=dict[int, list[tuple[int, int]]])  # by command
    started: dict[_Child, int] = field(default_factory=dict[_Child, int])
    ended: dict[_Child, int] = field(default_factory=dict[_Child, int])


class Needed:
    """Says of closed runs whether they are still needed. Reads the history of each parent once: make a new one for each round."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parents: dict[str, _Recorded | None] = {}

    async def by_parent(self, run: RunRecord) -> bool:
        """Return whether the run that started `run` as its child may still ask for it.

        It may while it is open, or failed and could be reopened, and its history does not say how the child ended; or, of a
        run of the child that went on as a new one, that the child was started. Raises what the store raises.
        """
        parent = run.body.parent
        if parent is None:
            return False
        if parent.run_id not in self._parents:
            self._parents[parent.run_id] = await self._read(parent)
        recorded = self._parents[parent.run_id]
        if recorded is None:
            return False
        child = parent.command, parent.reopened
        return child not in recorded.ended and not (run.status == "continued_as_new" and child in recorded.started)

    async def _read(self, parent: Parent) -> _Recorded | None:
        """Return what the run `parent` has recorded; None if it does not matter any more."""
        document = await self._store.document(parent.partition, id=parent.run_id)
        if document is None or not (document.open or document.state == "failed"):
            return None
        recorded, seq, reopened = _Recorded(), 0, 0
        while page := await self._store.read(
            parent.partition, parent.run_id, after=seq, limit=_limits.HISTORY_PAGE_EVENTS
        ):
            for record in page:
                seq += 1
                if b'"Child' in record or b'"RunReopened' in record:  # most records are others
                    reopened = _note(recorded, seq, record, reopened)
        return recorded


def _note(recorded: _Recorded, seq: int, record: bytes, reopened: int) -> int:
    """Take note of an event; return the number of the last reopening."""
    try:
        event = WIRE.decode(record)
    except HistoryError:  # what it would have told is not recorded, so the child stays
        return reopened
    if isinstance(event, ChildStartRequested):
        recorded.asked.setdefault(event.id, []).append((seq, reopened))
    elif isinstance(event, ChildStarted | ChildCompleted | ChildFailed | ChildStartFailed):
        for _, number in recorded.asked.get(event.id, [])[-1:]:
            told = recorded.started if isinstance(event, ChildStarted) else recorded.ended
            told[event.id, number] = seq
    elif isinstance(event, RunReopened):
        for told in (recorded.started, recorded.ended):
            for child in [child for child, at in told.items() if at >= event.voids_from]:
                del told[child]
        for command, asked in recorded.asked.items():
            recorded.asked[command] = [each for each in asked if each[0] < event.voids_from]
        return event.number
    return reopened
