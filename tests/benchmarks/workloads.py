"""All workloads, and which stores they can be run on."""

from durable.testing.benchmark import IN_ONE_PROCESS, Part, Scale, Workload
from tests.benchmarks.many_runs import OPEN_RUNS, SLEEPERS
from tests.benchmarks.processes import KILLS, SEVERAL
from tests.benchmarks.replaying import REPLAYS

WORKLOADS = {
    each.name: each
    for each in sorted(
        (*IN_ONE_PROCESS, KILLS, SEVERAL, REPLAYS, SLEEPERS, OPEN_RUNS),
        key=lambda each: int(each.name.removeprefix("W")),
    )
}
_PASSES_MAX = {"W9": 1, "W10": 1}  # minutes each; W10 takes medians of its own


def parts_on(workload: Workload, store: str, scale: Scale) -> list[Part]:
    """Return the parts of a workload that `store` can be measured by: memory is of one process."""
    if store == "memory" and workload in (KILLS, SEVERAL):
        return []
    return list(workload.parts(scale))


def passes_of(workload: Workload, wanted: int) -> int:
    """Return how many passes a workload gets if so many are wanted."""
    return min(wanted, _PASSES_MAX.get(workload.name, wanted))
