"""The simulation itself: one seed is one run, what is wrong is found, and what goes wrong does not show."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable.stores import _rules
from durable.stores.memory import _commit
from durable.testing.simulation import CALM, Chaos, RandomPrograms, SimulationError, simulate
from durable.testing.simulation.__main__ import main

ROOT = Path(__file__).parents[2]


def traces(hash_seed: str, *seeds: int) -> list[str]:
    """Return the traces of `seeds`, simulated in another process."""
    code = (
        "import sys; from durable.testing.simulation import simulate\n"
        "print(*[simulate(int(seed)).trace for seed in sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, seeds)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.split()


def test_one_seed_is_one_run_in_every_process() -> None:
    """Bit by bit the same, whatever the hash seed and whatever ran before in the process."""
    seeds = (1, 2, 3, 4, 5)
    first = traces("1", *seeds)
    assert traces("2", *seeds) == first
    assert [simulate(seed).trace for seed in reversed(seeds)] == first[::-1]
    assert len(set(first)) == len(seeds)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_goes_wrong_where_nothing_can(seed: int) -> None:
    """Without a fault, no call is lost and no worker dies."""
    counts = simulate(seed, chaos=CALM, scenario=RandomPrograms(calm=True)).counts
    assert counts["runs"]
    assert not any(counts[what] for what in ("crashes", "lost_after", "lost_before", "freezes"))


def test_every_kind_of_fault_is_met() -> None:
    """Some seeds together meet each fault: else a change has silently switched one off."""
    wanted = {"crashes", "freezes", "stops", "clock_steps", "lost_before", "lost_after", "repeated_sends", "replays"}
    wanted |= {"refused: StaleLeaseError", "refused: UnreadMessagesError", "children", "went_back"}
    for seed in range(100):
        wanted -= {name for name, count in simulate(seed).counts.items() if count}
        if not wanted:
            return
    raise AssertionError(f"not met: {sorted(wanted)}")


def found_within(seeds: int, **options: Any) -> SimulationError:
    """Return the first failure."""
    for seed in range(seeds):
        try:
            simulate(seed, **options)
        except SimulationError as error:
            return error
    raise AssertionError(f"{seeds} seeds found nothing")


def test_a_store_that_does_not_fence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of a lost lease that is applied all the same breaks the single writer; the failure tells how to see it again."""

    def unfenced(state: Any, commit: Any) -> Any:
        return state.partitions[commit.lease.partition].leases.get(commit.lease.inbox)

    monkeypatch.setattr(_commit, "_current", unfenced)
    error = found_within(100, chaos=Chaos(freeze_every_s=5, lost_before=0, lost_after=0))
    assert error.problems[0][0] == "1 single writer"
    assert f"nox -s simulate -- {error.seed}" in str(error)
    assert error.lines


def test_an_answer_before_the_effect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that forgets what it was told to add in a commit (here: every 20th task) loses work."""
    real, calls = _commit._write, [0]

    def forgetful(state: Any, here: Any, commit: Any, *rest: Any) -> None:
        calls[0] += bool(commit.tasks)
        if calls[0] % 20 == 19:
            commit.tasks.clear()
        real(state, here, commit, *rest)

    monkeypatch.setattr(_commit, "_write", forgetful)
    assert "nowhere" in str(found_within(20).problems)


def test_a_program_that_gives_something_else_is_found() -> None:
    """The result is compared with what the program says, without the engine."""

    class Wrong(RandomPrograms):
        def check(self, broken: Any) -> None:
            for life in self.lives:
                if life.outcome == "completed":
                    life.result["log"].append(99)
            super().check(broken)

    error = found_within(3, scenario=Wrong(programs=[[["act", 1], ["local", 2]]], calm=True), chaos=CALM)
    assert "cannot give [2, 3, 99" in str(error)


def test_the_command_line_counts_and_says_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures for people and for machines, and an exit code."""
    figures = tmp_path / "figures.json"
    assert main(["--seeds", "3", "--from", "5", "--json", str(figures)]) == 0
    told = json.loads(figures.read_text())
    assert (told["seeds"], told["first"], told["failed"]) == (3, 5, [])
    assert told["counts"]["commits"] > 10
    monkeypatch.setattr(_commit, "_write", lambda *_: None)
    assert main(["7"]) == 1
    assert "seed 7 breaks a promise" in capsys.readouterr().out


def test_a_record_that_misses_what_its_history_sets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that loses one attribute of a commit: what people search by would not be what happened."""
    real = _rules.updated

    def forgetful(document: Any, update: Any) -> Any:
        if update.attributes and "fresh" in update.attributes:
            update = replace(update, attributes={k: v for k, v in update.attributes.items() if k != "fresh"})
        return real(document, update)

    monkeypatch.setattr(_commit, "updated", forgetful)
    error = found_within(40)
    assert error.problems[0][0] == "2 atomic"
    assert re.search(r"the record of \w+ has \(\{((?!fresh)[^}])*\}, .*its history \(\{[^}]*'fresh': \d+", str(error))


def test_programs_set_attributes_and_mark_patches() -> None:
    """Else the comparison of records and histories compares nothing."""
    assert sum(simulate(seed).counts["attributes"] for seed in range(10)) > 5
