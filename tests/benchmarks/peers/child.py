"""One pass of a peer: `python -m tests.benchmarks.peers.child PEER WORKLOAD SCALE`. The same work as ours, less of it: they are slower."""

import asyncio
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from typing import Any, Protocol, cast

from durable._clock import SystemClock
from durable.testing.benchmark import Figure, Look, Sample, Scale, sized
from durable.testing.benchmark._bench import Timer
from durable.testing.benchmark._costs import no_server

CLOCK = SystemClock()


class Peer(Protocol):
    """What an engine can do. Each runs a workflow of that id to its end."""

    async def chain(self, id: str, length: int) -> None:
        """Await so many activities, one after the other."""
        ...

    async def fan_out(self, id: str, width: int) -> None:
        """Await so many activities, all at once."""
        ...

    async def signalled(self, id: str, count: int) -> None:
        """Send so many signals to it, one after the other, each when the one before is acknowledged."""
        ...


async def many(run: Callable[[str], Awaitable[None]], runs: int, at_once: int) -> None:
    """Execute so many runs, `at_once` at a time."""
    numbers = iter(range(runs))

    async def one_after_the_other() -> None:
        for number in numbers:
            await run(f"run-{number}")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(runs, at_once)):
            group.create_task(one_after_the_other())


class Pass:
    """A pass: its time, and what this process used. What a server used is not known."""

    def __init__(self) -> None:
        self._timer, self._before, self._began = Timer(), Look.now(no_server()), CLOCK.monotonic()

    def rate(self, count: int, unit: str) -> Sequence[Sample]:
        """Return how many a second were done."""
        self._timer.seconds = CLOCK.monotonic() - self._began
        return [Sample("", unit, self._timer.rate(count), count)]

    def figures(self, samples: Sequence[Sample], part: str) -> list[Figure]:
        """Return them with what was used since the beginning."""
        costs = Look.now(no_server()).costs_since(self._before)
        return [Figure(part, each.name, each.unit, each.value, each.count, None, costs) for each in samples]


async def run(peer: Peer, workload: str, scale: Scale) -> list[Figure]:
    """Run a workload once."""
    await peer.chain("warm-up", 2)
    begun = Pass()
    part = ""
    match workload:
        case "W1":
            runs = sized(scale, 1_000, 200, 2)
            await many(partial(peer.chain, length=1), runs, 200)
            samples = begun.rate(runs, "workflows/s")
        case "W2":
            runs = sized(scale, 200, 50, 2)
            await many(partial(peer.chain, length=10), runs, 50)
            samples = begun.rate(runs * 10, "activities/s")
        case "W3":
            runs, width = sized(scale, 20, 5, 1), sized(scale, 100, 100, 5)
            await many(partial(peer.fan_out, width=width), runs, 5)
            samples = begun.rate(runs * width, "activities/s")
        case "W4":
            samples = await _latency(peer, sized(scale, 200, 50, 2))
        case "W5":
            length = sized(scale, 1_000, 300, 5)
            part = f"{length:,} steps"
            await peer.chain("long", length)
            samples = begun.rate(length, "steps/s")
        case _:
            runs, count = sized(scale, 20, 20, 2), sized(scale, 20, 20, 2)
            await many(partial(peer.signalled, count=count), runs, runs)
            samples = begun.rate(runs * count, "signals/s")
    return begun.figures(samples, part)


async def _latency(peer: Peer, runs: int) -> Sequence[Sample]:
    took_ms: list[float] = []
    for number in range(runs):
        began = CLOCK.monotonic()
        await peer.chain(f"run-{number}", 1)
        took_ms.append(1000 * (CLOCK.monotonic() - began))
    p99 = statistics.quantiles(took_ms, n=100, method="inclusive")[98]
    return [Sample("p50", "ms", statistics.median(took_ms)), Sample("p99", "ms", p99)]


async def main() -> None:
    """Run the pass, and print its figures as JSON in the last line."""
    name, workload, scale = sys.argv[1:]
    module: Any = import_module(f"tests.benchmarks.peers.{name}_peer")
    with tempfile.TemporaryDirectory() as folder:
        opened: AbstractAsyncContextManager[Peer] = module.opened(folder)
        async with opened as peer:
            figures = await run(peer, workload, cast(Scale, scale))
    print(json.dumps([dataclasses.asdict(figure) for figure in figures]), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
