"""`simulate`: one seed, one run of the whole system."""

from __future__ import annotations

from collections.abc import Callable

from ._chaos import Chaos
from ._coverage import Report
from ._random_programs import RandomPrograms
from ._scenario import Scenario
from ._world import World

_LINES_SHOWN = 60


class SimulationError(AssertionError):
    """A simulation found that something is not as it must be. The message has the seed and how to see it again.

    `problems` are pairs of the invariant (of DESIGN §2) and what was found; `lines` the end of the trace.
    """

    def __init__(self, seed: int, problems: list[tuple[str, str]], lines: list[str]) -> None:
        self.seed, self.problems, self.lines = seed, problems, lines
        found = "\n".join(f"  [{invariant}] {text}" for invariant, text in problems[:10])
        tail = "\n".join(lines[-_LINES_SHOWN:])
        super().__init__(
            f"seed {seed} breaks a promise:\n{found}\n"
            f"the end of its trace:\n{tail}\n"
            f"see it again: python -m durable.testing.simulation --trace {seed}   (in the checkout: nox -s simulate -- {seed})"
        )


def simulate(
    seed: int,
    *,
    scenario: Scenario | None = None,
    chaos: Chaos | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Report:
    """Run workers, clients and a store in one simulated world, let go wrong what may go wrong, and check every promise.

    The seed decides everything: which programs run (or what `scenario` makes of it), which faults of `chaos` strike when,
    and whose turn it is. Two runs of one seed are the same, step by step, in every process: their reports have the same
    `trace`. Time is virtual, and nothing sleeps. `on_line` is given each line of the trace, log lines among them.

    Raises `SimulationError`. Must not be called while an event loop runs in the thread.
    """
    world = World(
        seed, RandomPrograms() if scenario is None else scenario, Chaos() if chaos is None else chaos, on_line
    )
    world.run()
    if world.problems:
        raise SimulationError(seed, world.problems, list(world.trace.lines))
    return world.report
