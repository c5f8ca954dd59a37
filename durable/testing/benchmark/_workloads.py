"""The workloads that need one process: what is measured, and how much of it."""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ...history import ActivityScheduled
from ._bench import Bench, Part, Sample
from ._programs import TEXT, carried, chain, fan_out, numbers, signalled

Scale = Literal["full", "quick", "tiny"]


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload: its name, what it does, and its parts at a scale."""

    name: str
    title: str
    parts: Callable[[Scale], Sequence[Part]]


def sized(scale: Scale, full: int, quick: int, tiny: int) -> int:
    """Return the size at a scale: "quick" is for a look, "tiny" to see that it works at all."""
    return {"full": full, "quick": quick, "tiny": tiny}[scale]


# --- W1, W2, W3: many runs in flight


def _one_activity(scale: Scale) -> Sequence[Part]:
    run = partial(_chains, runs=sized(scale, 4_000, 1_000, 5), length=1, at_once=200, unit="workflows/s")
    return [Part("", run)]


def _chains_of_10(scale: Scale) -> Sequence[Part]:
    run = partial(_chains, runs=sized(scale, 1_000, 200, 3), length=10, at_once=50, unit="activities/s")
    return [Part("", run)]


async def _chains(bench: Bench, *, runs: int, length: int, at_once: int, unit: str) -> Sequence[Sample]:
    async with bench.working():
        with bench.timed() as timer:
            await bench.execute_many(chain, length, runs=runs, at_once=at_once, result=length)
        count = runs * length
        return [Sample("", unit, timer.rate(count), count)]


def _fan_outs(scale: Scale) -> Sequence[Part]:
    runs, width = sized(scale, 100, 25, 2), sized(scale, 100, 100, 10)
    return [Part("", partial(_fan_out, runs=runs, width=width))]


async def _fan_out(bench: Bench, *, runs: int, width: int) -> Sequence[Sample]:
    async with bench.working():
        with bench.timed() as timer:
            await bench.execute_many(fan_out, width, runs=runs, at_once=5, result=width * (width + 1) // 2)
        return [Sample("", "activities/s", timer.rate(runs * width), runs * width)]


# --- W4, W5: one thing at a time


def _one_at_a_time(scale: Scale) -> Sequence[Part]:
    return [Part("", partial(_latency, runs=sized(scale, 500, 100, 4)), singly=True)]


async def _latency(bench: Bench, *, runs: int) -> Sequence[Sample]:
    took_ms: list[float] = []
    async with bench.working():
        with bench.timed():
            for number in range(runs):
                began = bench.clock.monotonic()
                await bench.client.execute(chain, id=f"run-{number}")(1)
                took_ms.append(1000 * (bench.clock.monotonic() - began))
        p99 = statistics.quantiles(took_ms, n=100, method="inclusive")[98]
        return [Sample("p50", "ms", statistics.median(took_ms), runs), Sample("p99", "ms", p99)]


def _long_runs(scale: Scale) -> Sequence[Part]:
    short, long = sized(scale, 1_000, 300, 20), sized(scale, 10_000, 2_000, 40)
    return [
        Part(f"{short:,} steps", partial(_steps, length=short, window=0), singly=True),
        Part(f"{long:,} steps", partial(_steps, length=long, window=long // 10), singly=True),
    ]


async def _steps(bench: Bench, *, length: int, window: int) -> Sequence[Sample]:
    async with bench.working():
        with bench.timed() as timer:
            handle = await bench.client.start(chain, id="long")(length)
            await handle.result()
        samples = [Sample("", "steps/s", timer.rate(length), length)]
        if window:
            history = await handle.history()
            at_ms = [each.event.at for each in history if isinstance(each.event, ActivityScheduled)]
            first_ms, last_ms = at_ms[window] - at_ms[0], at_ms[-1] - at_ms[-1 - window]
            samples.append(Sample("last tenth against first", "x", max(last_ms, 1) / max(first_ms, 1)))
        return samples


# --- W6: signals


def _signals(scale: Scale) -> Sequence[Part]:
    return [
        Part(
            "",
            partial(
                _signal, runs=sized(scale, 20, 20, 2), count=sized(scale, 20, 20, 3), rounds=sized(scale, 10, 3, 1)
            ),
        )
    ]


async def _signal(bench: Bench, *, runs: int, count: int, rounds: int) -> Sequence[Sample]:
    async def to_one(name: str) -> None:
        handle = await bench.client.start(signalled, id=name)(count)
        for number in range(count):
            await handle.signal(numbers, number)
        await handle.result()

    async with bench.working():
        with bench.timed() as timer:
            for turn in range(rounds):
                async with asyncio.TaskGroup() as group:
                    for number in range(runs):
                        group.create_task(to_one(f"run-{turn}-{number}"))
        sent = runs * count * rounds
        return [Sample("", "signals/s", timer.rate(sent), sent)]


# --- W12, W13: payloads, and the client alone


def _payloads(scale: Scale) -> Sequence[Part]:
    small, large = sized(scale, 1_000, 200, 3), sized(scale, 50, 10, 2)
    return [
        Part("100 B", partial(_payload, size=len(TEXT), runs=small)),
        Part("10 KB", partial(_payload, size=10_000, runs=small)),
        Part("1 MB", partial(_payload, size=1_000_000, runs=large)),
    ]


async def _payload(bench: Bench, *, size: int, runs: int) -> Sequence[Sample]:
    async with bench.working():
        with bench.timed() as timer:
            await bench.execute_many(carried, "x" * size, runs=runs, at_once=50, result=size)
        # As the start's argument, the activity's, and its result.
        megabytes = 3 * size * runs / 1_000_000
        return [
            Sample("", "activities/s", timer.rate(runs), runs),
            Sample("payloads", "MB/s", megabytes / timer.seconds),
        ]


def _starts(scale: Scale) -> Sequence[Part]:
    runs = sized(scale, 5_000, 1_000, 5)
    return [Part("client alone", partial(_start, runs=runs)), Part(f"{runs:,} waiters", partial(_wait, runs=runs))]


async def _start(bench: Bench, *, runs: int) -> Sequence[Sample]:
    with bench.timed() as timer:
        await _start_many(bench, runs)
    return [Sample("", "starts/s", timer.rate(runs), runs)]


async def _start_many(bench: Bench, runs: int) -> None:
    left = iter(range(runs))

    async def one_after_the_other() -> None:
        for number in left:
            await bench.client.start(chain, id=f"run-{number}")(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(one_after_the_other())


async def _wait(bench: Bench, *, runs: int) -> Sequence[Sample]:
    await _start_many(bench, runs)
    async with asyncio.TaskGroup() as group:
        with bench.timed() as timer:
            waiters = [group.create_task(bench.client.handle(f"run-{n}", workflow=chain).result()) for n in range(runs)]
            async with bench.working():
                await asyncio.wait(waiters)
    return [Sample("", "results/s", timer.rate(runs), runs)]


IN_ONE_PROCESS = (
    Workload("W1", "one activity, 200 runs in flight", _one_activity),
    Workload("W2", "chain of 10 activities, 50 runs in flight", _chains_of_10),
    Workload("W3", "fan-out of 100 activities, 5 runs in flight", _fan_outs),
    Workload("W4", "one activity, one run at a time", _one_at_a_time),
    Workload("W5", "one run, one activity after the other", _long_runs),
    Workload("W6", "20 signals, one after the other, to each of 20 runs", _signals),
    Workload("W12", "payloads of 100 B, 10 KB, 1 MB", _payloads),
    Workload("W13", "starts by a client alone, then as many waiters", _starts),
)
