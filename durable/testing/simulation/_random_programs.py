"""The scenario of random programs: what they do, and what others do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ...author import Workflow
from ...client import Client
from ._activities import ACTIVITIES
from ._contest import Contest
from ._desk import Desk
from ._forking import Forked
from ._interpreter import WORKFLOWS
from ._laws import check_answered, check_left, check_limits
from ._limits import Limited
from ._outside import Noting, Outside
from ._programs import Program, RandomChooser, draw_program
from ._scenario import Broken, Effect, Plan, Record, Story
from ._user import Life, User, wrong_with

_STORIES: list[Callable[[Random], Story]] = [Contest.drawn, Limited.drawn]


@dataclass(slots=True)
class _Part:
    """The runs of one workflow id, one after the other, and how far their callers are."""

    lives: list[Life]
    draws: list[list[float]]
    begins_s: float
    turn: int = 0


class RandomPrograms:
    """Random programs, each with the runs that it talks to, started, signalled, asked and cancelled by clients.

    `calm` leaves the runs alone but for their signals: then each completes, or fails as it says. `programs` are run instead
    of random ones, if they are given.
    """

    workflows: Sequence[Workflow[..., Any]] = WORKFLOWS
    activities: Sequence[Any] = ACTIVITIES

    def __init__(
        self, *, runs: int = 4, size: int = 8, calm: bool = False, programs: Sequence[Program] | None = None
    ) -> None:
        self._runs, self._size, self._calm = runs if programs is None else len(programs), size, calm
        self._programs = programs
        self._stories: list[Story] = []
        self._goes_back = False
        self.lives: list[Life] = []
        self._parts: list[_Part] = []
        self._desk = Desk("")
        self.mended: set[str] = set()  # workflow ids for which nothing fails any more that could be mended

    def plan(self, chance: Random) -> Sequence[Plan]:
        """See `Scenario`."""
        runs = self._runs
        if self._programs is None and not self._calm and chance.random() < 0.8:
            runs -= 1
            # A fork of what the store has forgotten by then cannot be made, and is stuck: that is all that there is to say.
            self._stories.append(chance.choice(_STORIES if self._goes_back else [*_STORIES, Forked.drawn])(chance))
        self._parts = [self._part_of(number, chance) for number in range(runs)]
        self._desk = Desk(f"desk/{chance.random()}")
        return self._plans()

    def outside(self, effect: Effect, *, goes_back: bool) -> Outside:
        """See `Reachable`."""
        self._goes_back = goes_back
        return _World(self, effect)

    async def hand(self, token: str, n: int, patient: bool) -> None:
        """A token comes to somebody outside."""
        await self._desk.hand(token, n, patient)

    def remember(self) -> list[tuple[int, list[Life]]]:
        """See `Recoverable`."""
        return [(part.turn, [life.kept() for life in part.lives]) for part in self._parts]

    def went_back(self, memory: list[tuple[int, list[Life]]]) -> Sequence[Plan]:
        """See `Recoverable`: callers begin anew with the run at which they were, and repeat all that they had asked for."""
        for part, (turn, kept) in zip(self._parts, memory, strict=True):
            part.turn = turn
            for life, before in list(zip(part.lives, kept, strict=True))[turn:]:
                life.fall_back(before)
        self._desk.went_back()
        for story in self._stories:
            story.went_back()
        return self._plans()

    def _plans(self) -> list[Plan]:
        return [*(self._plan_of(part) for part in self._parts), *(each.play for each in self._stories), self._serve]

    async def _serve(self, clients: Sequence[Client]) -> None:
        await self._desk.serve(clients, self._is_over)

    def _is_over(self) -> bool:
        return all(part.turn == len(part.lives) for part in self._parts) and all(each.done for each in self._stories)

    def _part_of(self, number: int, chance: Random) -> _Part:
        workflow_id = f"program-{number}"
        rounds = 1 if chance.random() < 0.7 else 2
        chooser = RandomChooser(chance)
        lives = [
            Life(workflow_id, self._programs[number] if self._programs else draw_program(chooser, size=self._size))
            for _ in range(rounds)
        ]
        self.lives += lives
        draws = [[chance.random() for _ in range(64)] for _ in range(rounds)]
        return _Part(lives, draws, begins_s=20 * chance.random() ** 2)

    def _plan_of(self, part: _Part) -> Plan:
        async def play(clients: Sequence[Client]) -> None:
            if not any(life.again for life in part.lives):
                await asyncio.sleep(part.begins_s)
            while part.turn < len(part.lives):
                life = part.lives[part.turn]
                draws = list(part.draws[part.turn])
                await User(life, f"{life.workflow_id}-{part.turn}", clients, draws, self.mended, self._calm).play()
                part.turn += 1

        return play

    def acknowledged(self) -> dict[str, set[str]]:
        """See `Scenario`."""
        return {life.run_id: life.signals for life in self.lives if life.run_id}

    def check(self, broken: Broken) -> None:
        """See `Scenario`."""
        for life in self.lives:
            for problem in [*life.problems, *wrong_with(life)]:
                broken("result", f"{life.workflow_id} (run {life.run_id}): {problem}: program {life.program}")

    def check_runs(self, record: Record, broken: Broken) -> None:
        """See `Inquiring`."""
        check_answered(record.runs, broken)
        check_limits(record, broken)
        for story in self._stories:
            story.check(record, broken)
        if not record.went_back:  # else what callers were told may be forgotten
            self._desk.check(record.runs, broken)
            check_left(record.runs, broken)


class _World(Noting):
    """The world that the activities of a scenario reach."""

    def __init__(self, scenario: RandomPrograms, effect: Effect) -> None:
        super().__init__(effect)
        self._scenario = scenario

    async def hand(self, token: str, n: int, patient: bool) -> None:
        """See `Outside`."""
        await self._scenario.hand(token, n, patient)

    def is_mended(self, workflow_id: str) -> bool:
        """See `Outside`."""
        return workflow_id in self._scenario.mended
