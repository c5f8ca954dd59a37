"""A store that falls back to an earlier state, in the simulation."""

from collections import Counter
from typing import Any

import pytest

from durable.stores.memory import _commit
from durable.testing.simulation import Chaos, RandomPrograms, SimulationError, simulate

OFTEN = Chaos(back_every_s=6)
FOUND = {
    25: "messages whose numbers were given out again were never read",
    34: "a task stayed claimed by a worker that had reported its outcome, in a time that was lost",
    76: "a partition was held by a worker that had given it up, in a time that was lost",
    270: "a run whose start was to be read again was called stuck",
    493: "a partition that had gone to another worker was taken for one of which something is lost",
    1045: "a run was cancelled by what another one had sent in a time that was lost",
}


@pytest.mark.parametrize("seed", FOUND, ids=lambda seed: str(seed))
def test_what_a_seed_has_found_stays_mended(seed: int) -> None:
    """See `FOUND`: what each of these seeds had shown, or shows where the mending is taken out."""
    simulate(seed, chaos=OFTEN)


@pytest.mark.parametrize("block", range(3))
def test_a_store_that_falls_back_forks_no_run(block: int) -> None:
    """What was acknowledged before is kept, nothing is recorded twice, and each run ends as its program says."""
    counts = Counter[str]()
    for seed in range(20_000 + 15 * block, 20_015 + 15 * block):
        counts.update(simulate(seed, chaos=OFTEN).counts)
    assert counts["went_back"] > 2
    assert counts["losses_noticed"]


def test_a_loss_is_noticed_in_a_commit_and_without_one() -> None:
    """Else one of the two is dead code, or this file tests less than it says."""
    counts = sum((simulate(seed, chaos=OFTEN).counts for seed in range(20)), Counter[str]())
    assert 0 < counts["refused: StoreWentBackError"] < counts["losses_noticed"]


def test_an_engine_that_does_not_notice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is based on what the store has lost is not to be applied."""
    monkeypatch.setattr(_commit, "lost_commit", lambda *_: None)
    with pytest.raises(SimulationError):
        for seed in range(100):
            simulate(seed, chaos=OFTEN)


def test_a_message_that_takes_the_place_of_a_lost_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that consumes an entry by its number alone may consume another one."""
    monkeypatch.setattr(_commit, "_lost_entry", lambda *_: None)
    with pytest.raises(SimulationError):
        for seed in range(100):
            simulate(seed, chaos=Chaos(back_every_s=2, back_s_max=1))


def test_a_scenario_that_cannot_begin_anew_is_spared() -> None:
    """Only what says how its callers go on is put to it."""

    class Plain:
        def __init__(self) -> None:
            whole = RandomPrograms()
            self.workflows, self.activities = whole.workflows, whole.activities
            self.plan: Any = whole.plan
            self.check: Any = whole.check
            self.acknowledged: Any = whole.acknowledged
            self.outside: Any = whole.outside

    assert not any(simulate(seed, scenario=Plain(), chaos=OFTEN).counts["went_back"] for seed in range(10))
