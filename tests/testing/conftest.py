"""Histories of the workflows in `replayed.py`, stepped by hand: no engine, no store."""

from collections.abc import Iterator
from typing import Any

import pytest

from durable.author import Workflow
from tests.engine.harness import ALIVE, SteppedRun
from tests.testing import replayed

WORLD = {"reserve": lambda item: f"{item} reserved", "charge": len}


@pytest.fixture(autouse=True)
def dispose() -> Iterator[None]:
    """End the code of the runs that a test began."""
    yield
    while ALIVE:
        ALIVE.pop().dispose()


@pytest.fixture
def history() -> list[bytes]:
    """The records of an `order` that has completed."""
    return recorded(replayed.order, "lamp")


def recorded(workflow: Workflow[..., Any], *args: Any, signals: int = 1) -> list[bytes]:
    """Return the records of a run of `workflow` with all its activities done."""
    run = SteppedRun(workflow, *args).start()
    run.drive(WORLD)
    for number in range(signals if run.status == "running" else 0):
        run.signal(replayed.go, number)
    return run.history
