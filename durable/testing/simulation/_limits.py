"""Runs with time limits, which they may or may not keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ...client import Client
from ...errors import RunTimedOutError
from ._insisting import insist
from ._interpreter import dawdle
from ._scenario import Broken, Record

WORKFLOW_ID = "limited"


@dataclass(slots=True)
class Limited:
    """Implements `Story`: a chain of runs, with a limit for each and one for all. That they hold is checked for all runs."""

    rounds: int
    seconds: float
    run_timeout: float
    execution_timeout: float
    client: int
    kind: str = ""
    done: bool = False

    @classmethod
    def drawn(cls, chance: Random) -> Limited:
        """Draw the limits, and what the runs need."""
        draw = chance.random
        return cls(1 + int(4 * draw()), 1 + 5 * draw(), 2 + 8 * draw(), 3 + 12 * draw(), int(100 * draw()))

    async def play(self, clients: Sequence[Client]) -> None:
        """See `Story`."""
        start = clients[self.client % len(clients)].start(
            dawdle,
            id=WORKFLOW_ID,
            run_timeout=self.run_timeout,
            execution_timeout=self.execution_timeout,
            request_id="limited",
        )
        handle = await insist(lambda: start(self.rounds, self.seconds))
        try:
            await insist(handle.result)
        except RunTimedOutError as error:
            self.kind = error.kind
        self.done = True

    def went_back(self) -> None:
        """See `Story`."""
        self.done, self.kind = False, ""

    def check(self, record: Record, broken: Broken) -> None:
        """See `Story`."""
        last = [run for run in record.runs.values() if run.workflow_id == WORKFLOW_ID and not run.next_run_id]
        if [run.timed_out for run in last] != [self.kind] and not record.went_back:
            broken("time limits", f"its caller was told that {self.kind!r} was reached: {last}")
        if not self.kind and self.seconds > self.run_timeout + 10 and record.calm:
            broken("time limits", f"a run of {self.seconds} s has kept to {self.run_timeout} s")
