"""What a simulation was like at a moment, so that its store can fall back to it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ...stores.memory import State
from ._checks import Checker

_NOT_HELD = ("lock", "topics")  # by a `State`: of the process, not of what is stored


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a simulation: what the store held, what the checker knew, and what callers had been told."""

    at_s: float
    state: dict[str, Any]
    checked: dict[str, Any]
    scenario: Any


def held_by(state: State) -> dict[str, Any]:
    """Return a copy of all that `state` holds."""
    return deepcopy({name: value for name, value in vars(state).items() if name not in _NOT_HELD})


def put_back(state: State, held: dict[str, Any]) -> None:
    """Let `state` hold what it held when `held_by` returned `held`, and nothing else."""
    vars(state).update(deepcopy(held))


def fall_back(state: State, checker: Checker, moment: Moment) -> None:
    """Let the store be as it was at `moment`, and the checker know no more than that."""
    put_back(state, moment.state)
    checker.fall_back(deepcopy(moment.checked))
