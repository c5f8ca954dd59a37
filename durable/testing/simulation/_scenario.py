"""What happens in a simulation: which runs there are, what clients do to them, and what must have come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol, TypeVar, runtime_checkable

from ...author import Workflow
from ...client import Client, Handle
from ...errors import (
    RequestFailedError,
    RequestTimeoutError,
    RunAlreadyOpenError,
    RunCancelledError,
    RunClosedError,
    RunFailedError,
    RunTerminatedError,
    StoreUnavailableError,
    UpdateRejectedError,
)
from ._interpreter import (
    ACTIVITIES,
    WORKFLOWS,
    RefusedError,
    ask,
    go,
    interpret,
    listen,
    listener_of,
    progress,
    suffer,
    victim_of,
)
from ._oracle import allows, failure_of_program
from ._programs import Program, arguments_of, count_of, draw_program

T = TypeVar("T")

Broken = Callable[[str, str], None]
Plan = Callable[[Sequence[Client]], Awaitable[None]]


class Scenario(Protocol):
    """What is simulated. One object serves one simulation."""

    @property
    def workflows(self) -> Sequence[Workflow[..., Any]]:
        """What the workers offer."""
        ...

    @property
    def activities(self) -> Sequence[Any]:
        """What the workers offer."""
        ...

    def plan(self, chance: Random) -> Sequence[Plan]:
        """Return what is done from outside, each beside the others; each gets clients of different processes."""
        ...

    def check(self, broken: Broken) -> None:
        """Everything has ended: report what is not as it must be."""
        ...

    def acknowledged(self) -> dict[str, set[str]]:
        """Return the request ids of the signals that were acknowledged, by run id."""
        ...


@runtime_checkable
class Recoverable(Protocol):
    """A `Scenario` that goes on after the store has fallen back to an earlier state: others are never put to that."""

    def remember(self) -> Any:
        """Return what has been acknowledged to callers by now: the store may fall back to this moment."""
        ...

    def went_back(self, memory: Any) -> Sequence[Plan]:
        """The store is again as it was at `memory`. Return what is done from outside from now on; what was, is broken off."""
        ...


@dataclass(slots=True)
class _Life:
    """One run of a program, as seen by those who asked for it."""

    workflow_id: str
    program: Program
    run_id: str = ""
    signals: set[str] = field(default_factory=set[str])
    interrupted: str = ""  # "cancel" or "terminate", if someone asked for that
    outcome: str = "unknown"
    result: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    problems: list[str] = field(default_factory=list[str])
    again: bool = False  # its callers began anew, after the store fell back
    asked: set[str] = field(default_factory=set[str])  # what `interrupted` was before

    def kept(self) -> _Life:
        """Return a copy of it."""
        return replace(self, signals=set(self.signals), asked=set(self.asked), problems=list(self.problems))

    def fall_back(self, kept: _Life) -> None:
        """Whoever asked for it begins anew, with what had been acknowledged when `kept` was made."""
        self.asked |= {self.interrupted, kept.interrupted} - {""}
        self.run_id, self.signals, self.problems = kept.run_id, set(kept.signals), list(kept.problems)
        self.interrupted, self.outcome, self.result, self.again = "", "unknown", {}, True


@dataclass(slots=True)
class _Part:
    """The runs of one workflow id, one after the other, and how far their callers are."""

    lives: list[_Life]
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
        self.lives: list[_Life] = []
        self._parts: list[_Part] = []

    def plan(self, chance: Random) -> Sequence[Plan]:
        """See `Scenario`."""
        self._parts = [self._part_of(number, chance) for number in range(self._runs)]
        return [self._plan_of(part) for part in self._parts]

    def remember(self) -> list[tuple[int, list[_Life]]]:
        """See `Recoverable`."""
        return [(part.turn, [life.kept() for life in part.lives]) for part in self._parts]

    def went_back(self, memory: list[tuple[int, list[_Life]]]) -> Sequence[Plan]:
        """See `Recoverable`: callers begin anew with the run at which they were, and repeat all that they had asked for."""
        for part, (turn, kept) in zip(self._parts, memory, strict=True):
            part.turn = turn
            for life, before in list(zip(part.lives, kept, strict=True))[turn:]:
                life.fall_back(before)
        return [self._plan_of(part) for part in self._parts]

    def _part_of(self, number: int, chance: Random) -> _Part:
        workflow_id = f"program-{number}"
        rounds = 1 if chance.random() < 0.7 else 2
        chooser = RandomChooser(chance)
        lives = [
            _Life(workflow_id, self._programs[number] if self._programs else draw_program(chooser, size=self._size))
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
                await _User(life, f"{life.workflow_id}-{part.turn}", clients, draws, self._calm).play()
                part.turn += 1

        return play

    def acknowledged(self) -> dict[str, set[str]]:
        """See `Scenario`."""
        return {life.run_id: life.signals for life in self.lives if life.run_id}

    def check(self, broken: Broken) -> None:
        """See `Scenario`."""
        for life in self.lives:
            for problem in [*life.problems, *_wrong_with(life)]:
                broken("result", f"{life.workflow_id} (run {life.run_id}): {problem}: program {life.program}")


class RandomChooser:
    """Draws a program's numbers from a generator."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def below(self, limit: int) -> int:
        """See `Chooser`."""
        return int(self._chance.random() * limit)


def _wrong_with(life: _Life) -> list[str]:
    expected_failure = failure_of_program(life.program)
    if life.outcome == "completed" and not expected_failure:
        heard = list(range(count_of(life.program, "hear")))
        problems = [] if allows(life.program, life.result["log"]) else [f"it cannot give {life.result['log']}"]
        if life.result["heard"] != heard:
            problems.append(f"it heard {life.result['heard']}, sent were {heard}")
        served = list(range(count_of(life.program, "serve")))
        if life.result["served"] != served:
            problems.append(f"it served {life.result['served']}, asked were {served}")
        return problems
    if life.outcome == "failed" and expected_failure and life.problems == []:
        return []
    if life.outcome == "cut short":
        return []
    for asked, outcome in (("cancel", "cancelled"), ("terminate", "terminated")):
        if life.outcome == outcome and (life.interrupted == asked or asked in life.asked):
            return []
    return [f"it ended as {life.outcome} (asked for: {life.interrupted or 'nothing'})"]


class _User:
    """Someone who starts a run of a program, and all that this needs."""

    def __init__(self, life: _Life, prefix: str, clients: Sequence[Client], draws: list[float], calm: bool) -> None:
        self._life, self._prefix, self._clients, self._draws, self._calm = life, prefix, clients, draws, calm

    def _draw(self) -> float:
        return self._draws.pop() if self._draws else 0.5

    def _client(self) -> Client:
        return self._clients[int(self._draw() * len(self._clients))]

    async def play(self) -> None:
        """Start everything, send what is to be sent, and wait for the end of everything."""
        life, program = self._life, self._life.program
        told = arguments_of(program, "tell")
        listener: Handle[list[int]] | None = None
        if told:
            listener = await self._start(listen, listener_of(life.workflow_id), len(told))
        others = [
            await self._start(suffer, victim_of(life.workflow_id, index), index)
            for index in range(count_of(program, "halt"))
        ]
        handle = await self._start(interpret, life.workflow_id, program)
        life.run_id = handle.run_id or ""
        await asyncio.gather(
            self._send_signals(handle), self._send_updates(handle), self._interrupt(handle), self._ask(handle)
        )
        await self._wait(handle)
        whole = life.outcome in ("completed", "failed") and not life.again  # else what it sent to others may be lost
        for other in others:
            await self._see_cancelled(other, whole)
        if listener is not None:
            await self._see_told(listener, whole, sorted(told))

    async def _start(self, workflow: Workflow[..., Any], workflow_id: str, *args: Any) -> Handle[Any]:
        client = self._client()
        start: Any = client.start
        request = f"{self._prefix}/start/{workflow_id}"
        try:
            return await insist(lambda: start(workflow, id=workflow_id, request_id=request)(*args))
        except RunAlreadyOpenError as error:
            self._life.problems.append(f"a second run of {workflow_id} could not be started: {error}")
            raise

    async def _send_signals(self, handle: Handle[Any]) -> None:
        for number in range(count_of(self._life.program, "hear")):
            await asyncio.sleep(12 * self._draw() ** 2)
            request = f"{self._prefix}/signal/{number}"
            # By id alone, or to this one run: both must reach it.
            target = handle if self._draw() < 0.5 else self._client().handle(handle.workflow_id)
            try:
                await insist(lambda t=target, n=number, r=request: t.signal(go, n, request_id=r))  # type: ignore[misc]
            except RunClosedError:
                if not self._life.interrupted and not self._life.again:
                    raise
                return
            self._life.signals.add(request)

    async def _send_updates(self, handle: Handle[Any]) -> None:
        for number in range(count_of(self._life.program, "serve")):
            await asyncio.sleep(12 * self._draw() ** 2)
            update_id = f"{self._prefix}/update/{number}"
            try:
                if self._draw() < 0.3:
                    await self._send_bad_update(handle)
                times = 1 if self._draw() < 0.7 else 2  # a repeat is the same update
                for _ in range(times):
                    target = handle if self._draw() < 0.5 else self._client().handle(handle.workflow_id)
                    answer = await answered(lambda t=target, n=number, u=update_id: t.update(ask, n, update_id=u))  # type: ignore[misc]
                    if answer != 2 * number:
                        self._life.problems.append(f"the update {update_id} was answered with {answer}")
            except (RunClosedError, RequestFailedError) as error:
                if not self._life.interrupted and not self._life.again:
                    self._life.problems.append(f"the update {update_id} failed: {error}")
                return

    async def _send_bad_update(self, handle: Handle[Any]) -> None:
        try:
            await answered(lambda: handle.update(ask, -1))
        except UpdateRejectedError as error:
            if isinstance(error.__cause__, RefusedError):
                return
            raise
        self._life.problems.append("an update was accepted that its validator refuses")

    async def _interrupt(self, handle: Handle[Any]) -> None:
        draw = self._draw()
        if self._calm or draw > 0.3:
            return
        await asyncio.sleep(20 * self._draw())
        self._life.interrupted = "cancel" if draw < 0.2 else "terminate"
        call = handle.cancel if draw < 0.2 else handle.terminate
        try:
            await insist(call)
        except RunClosedError:
            self._life.interrupted = ""
        except StoreUnavailableError:
            pass

    async def _ask(self, handle: Handle[Any]) -> None:
        if self._draw() > 0.4:
            return
        await asyncio.sleep(10 * self._draw())
        try:
            answer = await insist(lambda: handle.query(progress, timeout=5))
        except RequestTimeoutError:
            return  # nobody is there to answer
        if answer < 0:
            self._life.problems.append(f"a query was answered with {answer}")

    async def _wait(self, handle: Handle[Any]) -> None:
        life = self._life
        try:
            life.result = await insist(handle.result)
            life.outcome = "completed"
        except RunCancelledError:
            life.outcome = "cancelled"
        except RunTerminatedError:
            life.outcome = "terminated"
        except RunFailedError as error:
            life.outcome = "failed"
            wanted = failure_of_program(life.program)
            if life.again and "is closed" in str(error.__cause__) and not wanted:
                life.outcome = "cut short"  # what it had sent in the lost time arrived, and so its receiver had ended
            elif not wanted or str(error.__cause__) != wanted:
                life.problems.append(f"it failed with {error.__cause__!r}")

    async def _see_cancelled(self, other: Handle[Any], whole: bool) -> None:
        if not whole:
            await self._cancel(other)
        try:
            await insist(other.result)
        except RunCancelledError:
            return
        self._life.problems.append(f"{other.workflow_id} was not cancelled")

    async def _see_told(self, listener: Handle[list[int]], whole: bool, wanted: list[int]) -> None:
        if not whole:
            await self._cancel(listener)
        try:
            heard = await insist(listener.result)
        except RunCancelledError:
            if whole:
                self._life.problems.append("its listener was cancelled")
            return
        if heard != wanted and not self._life.again:
            self._life.problems.append(f"its listener heard {heard}, told were {wanted}")

    async def _cancel(self, handle: Handle[Any]) -> None:
        try:
            await insist(handle.cancel)
        except RunClosedError:
            pass


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """Make `call`, of a request that may be repeated, until somebody answers it."""
    while True:
        try:
            return await insist(call)
        except RequestTimeoutError:
            await asyncio.sleep(1)


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make `call` until its outcome is known, as a caller does who wants to know."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(1)
