"""Each feature with its worker killed at each write of a scenario, on each store, with and without a cache of executions.

`tests/planted/bugs` has breaks that fail tests here: what was read acknowledged in a commit of its own, timers that a new
owner does not read, what an earlier owner did not get to send forgotten, the ids of calls not handed on along a chain.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
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
from tests.redis_server import RedisServer
from tests.scenario_store import fresh_namespace

SCENARIOS = [*ACTIVITIES, *MESSAGES, *RUNS, *FAMILIES, *CHANGES]
MEMORY_DISK = Path("/dev/shm")
NewUrl = Callable[[], str]

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
with_and_without_cache = pytest.mark.parametrize("cache_runs", [None, 0], ids=["cached", "cache 0"])


@pytest.fixture
def new_file(tmp_path: Path) -> Iterator[NewUrl]:
    """Give the URL of a file that is not there yet: on a disk in memory, where there is one, since no machine is lost here."""
    disk = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else tmp_path
    numbers = count(1)
    with TemporaryDirectory(dir=disk, prefix="durable-killed-") as folder:
        yield lambda: f"sqlite:///{folder}/{next(numbers)}.db?synchronous=normal"


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [each.getMessage() for each in caplog.get_records("call") if each.levelno >= logging.ERROR] == []


@with_and_without_cache
@each_scenario
def test_a_worker_killed_at_any_write_changes_nothing(scenario: Scenario, cache_runs: int | None) -> None:
    """At the first one, the second and so on, before and after it: same answers, same events, effects once, and it replays."""
    play_with_faults(scenario, lambda: "memory:", cache_runs, KILLED)


@with_and_without_cache
@each_scenario
def test_a_worker_killed_at_any_write_to_a_file_changes_nothing(
    scenario: Scenario, cache_runs: int | None, new_file: NewUrl
) -> None:
    """The file is opened anew by the next one. What a cache changes does not depend on the store: without it, half will do."""
    play_with_faults(scenario, new_file, cache_runs, KILLED if cache_runs is None else KILLED[1:])


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a process that is killed closes nothing
@each_scenario
def test_a_worker_killed_at_any_write_to_a_server_changes_nothing(
    scenario: Scenario, redis_process: RedisServer
) -> None:
    """Each process has connections of its own, which end with it."""
    play_with_faults(scenario, lambda: fresh_namespace(redis_process), None, KILLED[1:])


@each_scenario
def test_a_worker_that_does_not_learn_what_became_of_a_write_changes_nothing(scenario: Scenario) -> None:
    """It is written, or not, and the connection is gone: the worker lives, and makes sure."""
    play_with_faults(scenario, lambda: "memory:", None, CUT_OFF)


def play_with_faults(scenario: Scenario, new_url: NewUrl, cache_runs: int | None, fates: Sequence[str]) -> None:
    """Play without a fault, then with each of `fates` at each write there is."""
    calm = play(scenario, new_url(), cache_runs, None)
    assert calm.gave == scenario.gives
    assert {kind: calm.events[kind] for kind in scenario.events} == scenario.events
    for fate in fates:
        nth, struck = 0, True
        while struck:
            nth += 1
            played = play(scenario, new_url(), cache_runs, Fault(nth, fate))
            assert played.gave == scenario.gives, f"{fate} write {nth}"
            assert played.runs == calm.runs, f"{fate} write {nth}"
            struck = played.writes >= nth
        assert nth > 2, "that many writes there are"
