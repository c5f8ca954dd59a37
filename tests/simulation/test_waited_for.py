"""Activities whose end is waited for when they are cancelled, in the simulated world."""

import pytest

from durable.testing.simulation import RandomPrograms, simulate
from durable.testing.simulation._programs import Program

PROGRAM: Program = [
    ["act", 1],
    ["race", [["act", 1]], [["patient", 1]]],
    ["bounded", 1, [["patient", 2], ["patient", 3]]],
]


@pytest.mark.parametrize("seed", range(1, 7))
def test_whatever_goes_wrong_they_end_once_and_leave_nothing(seed: int) -> None:
    """Seed 1 has found a due that was set again after its run had closed."""
    simulate(seed, scenario=RandomPrograms(programs=[PROGRAM]))
