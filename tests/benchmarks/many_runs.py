"""W9 and W10: many runs that sleep or wait, and what they cost those that do not."""

import asyncio
import gc
import os
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from durable import Worker, sleep, workflow
from durable._clock import SystemClock
from durable.history import ActivityScheduled
from durable.testing.benchmark import Bench, Look, Part, Sample, Scale, Workload, sized
from durable.testing.benchmark._programs import ACTIVITIES, WORKFLOWS, chain, signalled
from tests.benchmarks.waiting import until

_AT_ONCE = 200
_CACHE_RUNS = 100  # nearly all that sleep are evicted


@workflow(name="benchmark sleeper")
async def sleeper(until_ms: int, started_ms: int) -> int:
    """Sleep until a certain time."""
    await sleep(max(0, until_ms - started_ms) / 1000)
    return until_ms


# --- W9


def _sleepers(scale: Scale) -> Sequence[Part]:
    runs, idle_s = sized(scale, 100_000, 3_000, 20), {"full": 10.0, "quick": 1.0, "tiny": 0.1}[scale]
    return [Part(f"{runs:,} runs", partial(_sleep, runs=runs, idle_s=idle_s, spare_s=idle_s + 0.5))]


async def _sleep(bench: Bench, *, runs: int, idle_s: float, spare_s: float) -> Sequence[Sample]:
    clock, store = SystemClock(), bench.client.store
    workers = Worker(bench.client, workflows=[*WORKFLOWS, sleeper], activities=ACTIVITIES, cache_runs=_CACHE_RUNS)
    async with workers:
        probe = max(20, runs // 20)
        began = clock.monotonic()
        await _start(bench, probe, "probe", 0)
        await _until_completed(bench, probe)
        each_s = (clock.monotonic() - began) / probe  # more than what a start and a timer take

        gc.collect()
        memory, kept, began = _resident(), _kept(bench), clock.monotonic()
        until_ms = store.now_ms() + int(1000 * (1.5 * each_s * runs + idle_s + spare_s))
        await _start(bench, runs, "sleeper", until_ms)
        await until(partial(_all_asleep, bench, runs))
        starting_s = clock.monotonic() - began
        gc.collect()
        used, stored = (_resident() - memory) / runs, _less(_kept(bench), kept)

        before = Look.now(bench.place.server())
        await asyncio.sleep(idle_s)
        idle = Look.now(bench.place.server()).costs_since(before).cpu_s / idle_s
        left_s = (until_ms - store.now_ms()) / 1000
        if left_s < 0:
            raise RuntimeError(f"the runs were still being started when they were to wake: {-left_s:.1f} s late")
        await asyncio.sleep(left_s)
        with bench.timed() as timer:
            await _until_completed(bench, probe + runs)
    samples = [
        Sample("started and asleep", "runs/s", runs / starting_s),
        Sample("memory of the worker for each", "bytes", used),
        Sample("CPU of the worker while all sleep", "% of a core", 100 * idle),
        Sample("woken and finished", "runs/s", timer.rate(runs)),
    ]
    return samples if stored is None else [*samples, Sample("the store for each", "bytes", stored / runs)]


async def _start(bench: Bench, runs: int, prefix: str, until_ms: int) -> None:
    numbers = iter(range(runs))

    async def one_after_the_other() -> None:
        for number in numbers:
            await bench.client.start(sleeper, id=f"{prefix}-{number}")(until_ms, bench.client.store.now_ms())

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_the_other())


async def _until_completed(bench: Bench, runs: int) -> None:
    async def completed() -> bool:
        return (await bench.client.count(workflow=sleeper, status="completed")).get("completed", 0) >= runs

    await until(completed)


async def _all_asleep(bench: Bench, runs: int) -> bool:
    return (await bench.client.store.inspect.counts())["dues"] >= runs


def _resident() -> int:
    """Return the memory that this process has now; 0 where nobody tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _kept(bench: Bench) -> int | None:
    """Return the bytes that the store has: of memory on a server, of a file."""
    server = bench.place.server().memory_bytes
    if server is not None or not bench.client.store.url.startswith("sqlite:///"):
        return server
    path = bench.client.store.url.removeprefix("sqlite:///").partition("?")[0]
    return sum(Path(path + end).stat().st_size for end in ("", "-wal"))


def _less(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


# --- W10


def _open_runs(scale: Scale) -> Sequence[Part]:
    counts = {"full": (10, 1_000, 100_000), "quick": (10, 1_000, 5_000), "tiny": (2, 4, 8)}[scale]
    long = sized(scale, 5_100, 5_100, 200)
    return [
        Part("open runs", partial(_beside, counts=counts, runs=sized(scale, 200, 50, 2), rounds=sized(scale, 5, 3, 1))),
        Part("along a history", partial(_along, length=long, window=sized(scale, 200, 200, 10))),
    ]


async def _beside(bench: Bench, *, counts: Sequence[int], runs: int, rounds: int) -> Sequence[Sample]:
    samples: list[Sample] = []
    medians: dict[int, float] = {}
    opened = 0
    async with bench.working(cache_runs=_CACHE_RUNS):
        for count in counts:
            await _open(bench, opened, count)
            opened = count
            walls, cpus = list[float](), list[float]()
            for turn in range(rounds):
                with bench.timed() as timer:
                    await bench.execute_many(chain, 10, runs=runs, at_once=50, result=10, prefix=f"{count}-{turn}")
                walls.append(1_000_000 * timer.seconds / (runs * 10))
                cpus.append(1_000_000 * bench.costs[-1].cpu_s / (runs * 10))
            medians[count] = statistics.median(walls)
            samples.append(Sample(f"an activity beside {count:,}", "µs", medians[count]))
            samples.append(Sample(f"its CPU beside {count:,}", "µs", statistics.median(cpus)))
    samples.append(Sample(f"{counts[-1]:,} against {counts[0]:,}", "x", medians[counts[-1]] / medians[counts[0]]))
    return samples


async def _open(bench: Bench, first: int, last: int) -> None:
    """Start runs that wait for a signal, and wait until they do: their inboxes are empty."""
    numbers = iter(range(first, last))

    async def one_after_the_other() -> None:
        for number in numbers:
            await bench.client.start(signalled, id=f"open-{number}")(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_the_other())

    async def all_read() -> bool:
        return not (await bench.client.store.inspect.counts())["inbox"]

    await until(all_read)


async def _along(bench: Bench, *, length: int, window: int) -> Sequence[Sample]:
    async with bench.working():
        with bench.timed():
            handle = await bench.client.start(chain, id="long")(length)
            await handle.result()
        at_ms = [each.event.at for each in await handle.history() if isinstance(each.event, ActivityScheduled)]
    ends = (window, max(window, length // 10), length - 1)  # the last activities before 10, 1,000 and 10,000 events
    return [
        Sample(f"an activity at event {2 * end:,}", "µs", 1000 * (at_ms[end] - at_ms[end - window]) / window)
        for end in ends
    ]


SLEEPERS = Workload("W9", "runs that sleep, and wake in the same second", _sleepers)
OPEN_RUNS = Workload("W10", "cost of an activity beside open runs, and along a history", _open_runs)
