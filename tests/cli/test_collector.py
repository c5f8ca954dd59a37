"""A worker's process spares the garbage collector, and needs it for nothing of ours."""

import gc

from durable.cli._collector import THRESHOLDS, sparing_the_collector
from tests.budgets.counted import counted


def test_what_it_changes_is_put_back() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with sparing_the_collector():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_runs_that_have_ended_are_freed_without_the_collector() -> None:
    """Else a collector that comes seldom would let memory grow: hundreds of runs leave less behind than one of them needs."""
    async with counted("memory:") as found:
        await found.chains(runs=20, length=3, at_once=10)
        gc.collect()
        gc.disable()
        try:
            await found.chains_only(runs=300, length=3, at_once=10)
            circles = gc.collect()
        finally:
            gc.enable()
    assert circles < 300, f"{circles} objects of 300 runs were left to the collector"
