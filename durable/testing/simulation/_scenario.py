"""What happens in a simulation: which runs there are, what clients do to them, and what must have come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, runtime_checkable

from ...author import Workflow
from ...client import Client
from ...history import RecordedEvent
from ._outside import Outside
from ._runs import RunModel

Broken = Callable[[str, str], None]
Effect = Callable[[str, int], Awaitable[None]]
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


@runtime_checkable
class Reachable(Protocol):
    """A `Scenario` whose activities reach the world outside."""

    def outside(self, effect: Effect, *, goes_back: bool) -> Outside:
        """Return that world, to which activities tell their effects by `effect`. `goes_back`: the store may fall back."""
        ...


class Story(Protocol):
    """A small part of a scenario: what some callers do, apart from all others."""

    @property
    def done(self) -> bool:
        """Whether they have done it."""
        ...

    async def play(self, clients: Sequence[Client]) -> None:
        """Do it."""
        ...

    def went_back(self) -> None:
        """The store has fallen back: it is done once more, by the same calls."""
        ...

    def check(self, record: Record, broken: Broken) -> None:
        """Report what is not as it must be."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """What came of a simulation: all runs by their ids, their histories, and how often each activity had its effect.

    `went_back` says that the store has fallen back, so that runs and messages may have been forgotten. Nothing has gone wrong
    any more since `calm_ms`; nothing ever did, if `calm`.
    """

    runs: Mapping[str, RunModel]
    history: Callable[[str], Sequence[RecordedEvent]]
    effects: Mapping[str, int]
    went_back: bool
    calm_ms: int
    calm: bool


@runtime_checkable
class Inquiring(Protocol):
    """A `Scenario` that looks into the histories as well."""

    def check_runs(self, record: Record, broken: Broken) -> None:
        """Everything has ended: report what is not as it must be in the histories."""
        ...
