"""One pass of a benchmark: a store that nobody has used, a client, a worker in the same process, and what it took."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..._clock import Clock
from ...author import Workflow
from ...client import Client
from ...stores import open_store
from ...worker import Worker
from ._calls import Calls, recording
from ._costs import Costs, Look
from ._place import Place
from ._programs import ACTIVITIES, WORKFLOWS, chain

_WARM_UP = 3  # runs before the clock is started: connections, statements and code are there then


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure of one pass. `count` is how many of what it counts were done: 0 if no floor belongs to it.

    Of a unit that ends in "/s" more is better, of any other less.
    """

    name: str
    unit: str
    value: float
    count: int = 0

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")


@dataclass(slots=True)
class Timer:
    """How long the block took."""

    seconds: float = 0.0

    def rate(self, count: int) -> float:
        """Return how many a second that was."""
        return count / max(self.seconds, 1e-9)


@dataclass(slots=True)
class Bench:
    """What a part of a workload is given."""

    client: Client
    clock: Clock
    place: Place
    calls: Calls
    costs: list[Costs] = field(default_factory=list[Costs])

    @asynccontextmanager
    async def working(self, **options: Any) -> AsyncGenerator[None]:
        """Run a worker in this process while the block lasts; it has been busy before."""
        async with Worker(self.client, workflows=WORKFLOWS, activities=ACTIVITIES, **options):
            for number in range(_WARM_UP):
                await self.client.execute(chain, id=f"warm-up-{number}")(2)
            yield

    @contextmanager
    def timed(self) -> Generator[Timer]:
        """Measure the block: its time, its costs, and (in the pass for the floor) what it writes."""
        timer = Timer()
        self.calls.made.clear()
        before, began = Look.now(self.place.server()), self.clock.monotonic()
        yield timer
        timer.seconds = self.clock.monotonic() - began
        self.costs.append(Look.now(self.place.server()).costs_since(before))

    async def execute_many(
        self, workflow: Workflow[..., Any], *args: Any, runs: int, at_once: int, result: Any, prefix: str = "run"
    ) -> None:
        """Execute so many runs, `at_once` at a time; their ids begin with `prefix`. Raises `AssertionError` if one ends with another `result`."""
        numbers = iter(range(runs))

        async def one_after_the_other() -> None:
            for number in numbers:
                got = await self.client.execute(workflow, id=f"{prefix}-{number}")(*args)
                if got != result:
                    raise AssertionError(
                        f"{prefix}-{number} of {workflow.name!r} ended with {got!r}, expected {result!r}"
                    )

        async with asyncio.TaskGroup() as group:
            for _ in range(min(runs, at_once)):
                group.create_task(one_after_the_other())


@dataclass(frozen=True, slots=True)
class Part:
    """One measurement of a workload. `singly`: its floor are single calls, not batches."""

    label: str
    run: Callable[[Bench], Awaitable[Sequence[Sample]]]
    singly: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of one pass with its floor, and what the pass cost."""

    part: str
    name: str
    unit: str
    value: float
    count: int
    floor: float | None
    costs: Costs

    @property
    def ratio(self) -> float | None:
        """The figure over its floor."""
        return None if not self.floor else self.value / self.floor


def one_pass(part: Part, place: Place, clock: Clock) -> list[Figure]:
    """Run a part once with the engine, once more to see what it writes, and write that bare. Not within an event loop."""
    samples, costs, _ = asyncio.run(_run(part, place, clock, record=False))
    floor_s = None
    if place.bare is not None and any(sample.count for sample in samples):
        _, _, calls = asyncio.run(_run(part, place, clock, record=True))
        floor_s = place.bare.seconds(calls, singly=part.singly)
    return [
        Figure(part.label, sample.name, sample.unit, sample.value, sample.count, _floor(sample, floor_s), costs)
        for sample in samples
    ]


async def _run(part: Part, place: Place, clock: Clock, *, record: bool) -> tuple[Sequence[Sample], Costs, Calls]:
    calls = Calls()
    async with place.fresh() as url, open_store(url, clock=clock) as store:
        bench = Bench(Client(recording(store, calls) if record else store), clock, place, calls)
        samples = await part.run(bench)
        return samples, bench.costs[-1], calls


def _floor(sample: Sample, floor_s: float | None) -> float | None:
    if floor_s is None or not sample.count:
        return None
    return sample.count / floor_s if sample.is_rate else 1000 * floor_s / sample.count
