"""One pass in a process of its own, so that its memory and its CPU time are its own: `python -m tests.benchmarks.child WORKLOAD PART SCALE URL`."""

import dataclasses
import json
import sys
from typing import cast

from durable._clock import SystemClock
from durable.testing.benchmark import Costs, Figure, Scale, one_pass, place_of
from tests.benchmarks.workloads import WORKLOADS


def figures_of(text: str) -> list[Figure]:
    """Return what a child printed."""
    return [Figure(**{**figure, "costs": Costs(**figure["costs"])}) for figure in json.loads(text)]


def main() -> None:
    """Run the pass, and print its figures as JSON."""
    workload, part, scale, url = sys.argv[1:]
    clock = SystemClock()
    place = place_of(url, clock)
    try:
        figures = one_pass(WORKLOADS[workload].parts(cast(Scale, scale))[int(part)], place, clock)
    finally:
        place.close()
    print(json.dumps([dataclasses.asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main()
