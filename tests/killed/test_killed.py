"""Each feature with its worker killed at each write of a scenario, on each store, with and without a cache of executions."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.killed.activities import ACTIVITIES
from tests.killed.changes import CHANGES
from tests.killed.families import FAMILIES
from tests.killed.messages import MESSAGES
from tests.killed.runs import RUNS
from tests.killed.stores import CUT_OFF, KILLED
from tests.killed.world import Fault, Scenario, play

SCENARIOS = [*ACTIVITIES, *MESSAGES, *RUNS, *FAMILIES, *CHANGES]
MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for files: on a disk in memory, where there is one, since no machine is lost here."""
    if not os.access(MEMORY_DISK, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY_DISK, prefix="durable-killed-") as made:
        yield Path(made)


@pytest.mark.parametrize("cache_runs", [None, 0], ids=["cached", "cache 0"])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_worker_killed_at_any_write_changes_nothing(
    scenario: Scenario, store: str, cache_runs: int | None, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the first one, the second and so on, before and after it: same answers, same events, effects once, and it replays."""
    play_with_faults(scenario, folder / "runs.db" if store == "sqlite" else None, cache_runs, KILLED)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_worker_that_does_not_learn_what_became_of_a_write_changes_nothing(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    """It is written, or not, and the connection is gone: the worker lives, and makes sure."""
    play_with_faults(scenario, None, None, CUT_OFF)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def play_with_faults(scenario: Scenario, file: Path | None, cache_runs: int | None, fates: Sequence[str]) -> None:
    """Play without a fault, then with each of `fates` at each write there is."""
    calm = play(scenario, file, cache_runs, None)
    assert calm.gave == scenario.gives
    assert {kind: calm.events[kind] for kind in scenario.events} == scenario.events
    for fate in fates:
        nth, struck = 0, True
        while struck:
            nth += 1
            played = play(scenario, file, cache_runs, Fault(nth, fate))
            assert played.gave == scenario.gives, f"{fate} write {nth}"
            assert played.runs == calm.runs, f"{fate} write {nth}"
            struck = played.writes >= nth
        assert nth > 2, "that many writes there are"
