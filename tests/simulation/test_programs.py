"""Programs drawn by Hypothesis, under the simulation: a failure shrinks to a small program and few faults."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.testing.simulation import CALM, Chaos, RandomPrograms, simulate
from durable.testing.simulation._oracle import allows, failure_of_program
from durable.testing.simulation._programs import Program, draw_program


class Drawn:
    """Draws a program's numbers by Hypothesis."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def below(self, limit: int) -> int:
        """See `Chooser`."""
        return int(self._draw(st.integers(0, limit - 1)))


@st.composite
def programs(draw: Any) -> Program:
    """Programs of a few steps."""
    return draw_program(Drawn(draw), size=draw(st.integers(1, 8)))


@given(program=programs())
def test_a_program_gives_what_the_oracle_says(program: Program) -> None:
    """Left alone, on a world where nothing goes wrong."""
    simulate(1, chaos=CALM, scenario=RandomPrograms(programs=[program], calm=True))


@given(program=programs(), seed=st.integers(0, 2**32), factor=st.sampled_from([1, 3, 10]))
def test_what_goes_wrong_does_not_show(program: Program, seed: int, factor: int) -> None:
    """Whatever strikes, and whoever interrupts."""
    simulate(seed, chaos=Chaos().scaled(factor), scenario=RandomPrograms(programs=[program]))


def test_the_oracle_says_no() -> None:
    """It knows every order that timing may bring, and nothing else."""
    race: Program = [["race", [["act", 1]], [["nap", 3], ["local", 1]]], ["bounded", 2, [["act", 4]]]]
    assert all(allows(race, log) for log in ([2, 8], [0, 2, 8], [2, -2]))
    assert not any(allows(race, log) for log in ([2], [0, 8], [2, 8, -2]))
    rest: Program = [["stopped", [["fail", 3]], [["act", 1]]], ["repeat", 2, [["choice"]]], ["sure", [["never", 1]]]]
    assert allows(rest, [-3, 2, -3, 1, 1, 7, 1, 1, 7, -1])
    assert not allows(rest, [-3, -3, 1, 1, 7, 1, 1, 7, -1])


CHAIN: Program = [
    ["hear"],
    [
        "again",
        [["act", 1], ["serve"], ["again", [["gather", [["hear"]], [["nap", 2]]], ["again", [["hear"], ["local", 3]]]]]],
    ],
]


@pytest.mark.parametrize("seed", range(30))
def test_a_chain_of_runs_is_as_one(seed: int) -> None:
    """Its signals and updates come at any time, to whichever run is current, with everything that may strike."""
    simulate(
        seed, chaos=Chaos().scaled(1 + seed % 5), scenario=RandomPrograms(programs=[CHAIN, CHAIN], calm=seed % 2 == 0)
    )


def test_the_oracle_reads_a_chain_as_one_program() -> None:
    """The log goes along, and a failure may be in any of its runs."""
    assert allows(CHAIN, [0, 2, 0, 0, 0, 0, 4])
    assert not allows(CHAIN, [0, 2, 0])
    assert failure_of_program([["act", 1], ["again", [["raise", 3]]]]) == "no 3"
