"""A program whose run is forked while it runs, and when it has ended: the forks begin as it did, and end as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ...client import Client, Handle
from ...errors import InvalidCallError, RunNotFoundError
from ...history import ActivityCompleted, RecordedEvent, RunForked, effective
from ._insisting import insist
from ._interpreter import interpret
from ._programs import RandomChooser, draw_program
from ._scenario import Broken, Record
from ._user import Life, User, wrong_with

WORKFLOW_ID = "forked"
_PREFIX = "forked-0"  # of all requests: what a fork has from its source, it is not sent again
_TRIES = 4


class _NoPointError(Exception):
    """The run could not be forked anywhere, as often as that was tried."""


class _Forker(User):
    """Somebody who goes on with a fork in the place of a run of its own."""

    def __init__(self, source: Handle[Any], life: Life, clients: Sequence[Client], draws: list[float]) -> None:
        super().__init__(life, _PREFIX, clients, draws, set(), False)
        self._source, self._begun_by_update = source, True

    async def _begin(self) -> Handle[Any]:
        workflow_id, source = self._life.workflow_id, self._source
        await asyncio.sleep(12 * self._draw() ** 2)
        for _ in range(_TRIES):
            await asyncio.sleep(3 * self._draw())
            try:
                events = len(await insist(source.history))
            except RunNotFoundError:
                continue  # it is not started yet
            at = None if self._draw() < 0.3 else 1 + int(events * self._draw())
            for point in (at, None):
                try:
                    return await insist(lambda p=point: source.fork(at=p, id=workflow_id, request_id=workflow_id))  # type: ignore[misc]
                except InvalidCallError:
                    continue
        raise _NoPointError


@dataclass(slots=True)
class Forked:
    """Implements `Story`."""

    source: Life
    forks: list[Life]
    draws: list[list[float]]
    done: bool = False
    skipped: set[str] = field(default_factory=set[str])

    @classmethod
    def drawn(cls, chance: Random) -> Forked:
        """Draw a program that asks nothing of others, and who forks it."""
        program = draw_program(RandomChooser(chance), size=6, inward=True)
        forks = [Life(f"{WORKFLOW_ID}-{number}", program) for number in range(1 + int(2 * chance.random()))]
        draws = [[chance.random() for _ in range(64)] for _ in range(1 + len(forks))]
        return cls(Life(WORKFLOW_ID, program), forks, draws)

    async def play(self, clients: Sequence[Client]) -> None:
        """See `Story`."""
        source = User(self.source, _PREFIX, clients, list(self.draws[0]), set(), False)
        forking = [
            self._fork(clients, life, list(draws)) for life, draws in zip(self.forks, self.draws[1:], strict=True)
        ]
        await asyncio.gather(source.play(), *forking)
        self.done = True

    async def _fork(self, clients: Sequence[Client], life: Life, draws: list[float]) -> None:
        handle = clients[0].handle(WORKFLOW_ID, workflow=interpret)
        try:
            await _Forker(handle, life, clients, draws).play()
        except _NoPointError:
            self.skipped.add(life.workflow_id)

    def went_back(self) -> None:
        """See `Story`."""
        self.done = False
        self.skipped.clear()
        for life in [self.source, *self.forks]:
            life.fall_back(Life(life.workflow_id, life.program))

    def check(self, record: Record, broken: Broken) -> None:
        """See `Story`."""
        for life in [self.source, *self.forks]:
            if life.workflow_id in self.skipped:
                continue
            life.asked |= {self.source.interrupted} & {"cancel"}  # a fork has that as well
            for problem in [*life.problems, *wrong_with(life)]:
                broken("result", f"{life.workflow_id} (run {life.run_id}): {problem}: program {life.program}")
        for run in record.runs.values():
            source, event = run.forked
            if source in record.runs:
                problem = _wrong_fork(run.run_id, record.history(run.run_id), record.history(source)[:event], record)
                if problem:
                    broken("forks", f"{run.run_id}, a fork of {source} at event {event}: {problem}")


def _wrong_fork(run_id: str, fork: Sequence[RecordedEvent], source: Sequence[RecordedEvent], record: Record) -> str:
    """Return what is wrong with a fork of a history that ends where it was forked, or ""."""
    at = next(number for number, recorded in enumerate(fork) if isinstance(recorded.event, RunForked))
    begins, began = [r.event for r in fork[1:at]], [r.event for r in effective(source)[1:]]
    if begins != began:
        return f"it begins with {begins}, its source with {began}"
    done = [event.id for event in begins if isinstance(event, ActivityCompleted)]
    if again := [number for number in done if f"{run_id}/{number}" in record.effects]:
        return f"activities {again}, whose results it has from its source, have run again"
    return ""
