"""Each feature with its worker killed at each write of a scenario, on each store, with and without a cache of executions."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.killed.activities import ACTIVITIES
from tests.killed.changes import CHANGES
from tests.killed.families import FAMILIES
from tests.killed.messages import MESSAGES
from tests.killed.runs import RUNS
from tests.killed.world import Death, Scenario, play

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
def test_a_worker_killed_at_each_write_changes_nothing(
    scenario: Scenario, store: str, cache_runs: int | None, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before and after the first one, the second and so on: same answers, same events, effects once, and it replays."""
    file = folder / "runs.db" if store == "sqlite" else None
    calm = play(scenario, file, cache_runs, None)
    assert calm.gave == scenario.gives
    assert {kind: calm.events[kind] for kind in scenario.events} == scenario.events
    for when in ("before", "after"):
        nth, died = 0, True
        while died:
            nth += 1
            played = play(scenario, file, cache_runs, Death(nth, when))
            assert played.gave == scenario.gives, f"killed {when} write {nth}"
            assert played.runs == calm.runs, f"killed {when} write {nth}"
            died = played.writes >= nth
        assert nth > 2, "that many writes there are"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
