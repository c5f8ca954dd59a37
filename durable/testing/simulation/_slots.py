"""The workers of a simulation: where there is one, with which options, and what it offers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from ...author import Workflow
from ._loop import Process
from ._scenario import Scenario


class Slot:
    """A place for a worker: when its process is gone, another one takes the place."""

    def __init__(self, number: int, options: dict[str, Any], workflows: Sequence[Workflow[..., Any]]) -> None:
        self.number, self.options, self.workflows = number, options, workflows
        self.offers = {(workflow.name, workflow.version) for workflow in workflows}
        self.lives = 0
        self.process: Process | None = None
        self.told = asyncio.Event()


def draw_slots(chance: Random, offers: Random, scenario: Scenario) -> list[Slot]:
    """Return the places of one simulation. The first offers everything; others no runs, or those of some pinned versions."""
    slots = list[Slot]()
    for number in range(1 + int(3 * chance.random())):
        options = {
            "lease_ttl": chance.choice([2, 5]),
            "cache_runs": chance.choice([0, 1, 10_000, 10_000]),
            "max_concurrent_activities": chance.choice([1, 3, 100, 100]),
            "grace": chance.choice([0, 3]),
        }
        steps_runs = number == 0 or chance.random() < 0.7
        offered = [each for each in scenario.workflows if steps_runs and _is_offered(each, number, offers)]
        slots.append(Slot(number, options, offered))
    return slots


def _is_offered(workflow: Workflow[..., Any], number: int, offers: Random) -> bool:
    return number == 0 or not workflow.pinned or offers.random() < 0.6
