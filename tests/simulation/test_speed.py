"""How fast simulated executions are."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest

from durable import Client, activity, sleep, workflow
from durable._clock import SystemClock
from durable.testing.simulation import Chaos, simulate

EXECUTIONS, WITHIN_S = 1_000, 60.0


@activity
async def add(n: int) -> int:
    """One of the steps."""
    return n + 1


@workflow
async def ten_steps() -> int:
    """Nine activities and a timer."""
    total = 0
    for _ in range(9):
        total = await add(total)
    await sleep("10 seconds")
    return total


class Many:
    """Executions of a user's own workflow, a scenario of their own."""

    workflows, activities = (ten_steps,), (add,)

    def __init__(self) -> None:
        self.results: list[int] = []

    def plan(self, chance: Random) -> Sequence[Callable[[Sequence[Client]], Awaitable[None]]]:
        """See `Scenario`."""

        async def execute(clients: Sequence[Client], number: int) -> None:
            await asyncio.sleep(number / 20)
            self.results.append(await clients[number % len(clients)].execute(ten_steps, id=f"run-{number}")())

        return [lambda clients, number=number: execute(clients, number) for number in range(EXECUTIONS)]  # type: ignore[misc]

    def check(self, broken: Callable[[str, str], None]) -> None:
        """See `Scenario`."""
        if self.results != [9] * EXECUTIONS:
            broken("result", f"{len(self.results)} of {EXECUTIONS} executions have ended")

    def acknowledged(self) -> dict[str, set[str]]:
        """See `Scenario`."""
        return {}


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.timeout(120)
def test_a_thousand_executions_of_ten_steps_take_less_than_a_minute() -> None:
    """With workers that die, and every invariant checked after every commit."""
    clock: Any = SystemClock()
    began = clock.monotonic()
    report = simulate(1, scenario=Many(), chaos=Chaos(lost_before=0.001, lost_after=0.001))
    took_s = clock.monotonic() - began
    assert report.counts["runs"] == EXECUTIONS
    assert took_s < WITHIN_S, f"{took_s:.1f} s: {report.as_json()}"
