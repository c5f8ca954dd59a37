"""W7 and W11: worker processes that are killed, and several that share the work."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from durable.testing.benchmark import Bench, Part, Sample, Scale, Workload, sized
from durable.testing.benchmark._programs import chain
from tests.benchmarks.waiting import until
from tests.benchmarks.worker import effects

ROOT = Path(__file__).parent.parent.parent


class Workers:
    """Worker processes on one store. Those that are alive at the end are killed."""

    def __init__(self, url: str, folder: str) -> None:
        self._url = url
        self.ledger = Path(folder, "ledger")
        self.ledger.touch()
        self.alive: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """Start one more."""
        command = [sys.executable, "-m", "tests.benchmarks.worker", self._url, str(self.ledger)]
        process = subprocess.Popen(command, cwd=ROOT)
        self.alive.append(process)
        return process

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        process.kill()
        process.wait()
        self.alive.remove(process)

    def cpu_s(self) -> float:
        """Return the CPU seconds of those that are alive; only Linux tells, elsewhere 0."""
        total = 0.0
        for process in self.alive:
            stat = Path(f"/proc/{process.pid}/stat")
            if stat.exists():
                fields = stat.read_text(encoding="ascii").rpartition(") ")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def effects(self) -> Counter[str]:
        """Return how often each effect happened, by its key."""
        return Counter(self.ledger.read_text(encoding="ascii").split())


@contextmanager
def workers(bench: Bench) -> Iterator[Workers]:
    """Give what starts workers on the store of `bench`."""
    with tempfile.TemporaryDirectory() as folder:
        mine = Workers(bench.client.store.url, folder)
        try:
            yield mine
        finally:
            for process in list(mine.alive):
                mine.kill(process)


# --- W7


def _kills(scale: Scale) -> Sequence[Part]:
    return [Part("", partial(_kill, runs=sized(scale, 1_000, 100, 3), length=sized(scale, 10, 10, 4)))]


async def _kill(bench: Bench, *, runs: int, length: int) -> Sequence[Sample]:
    with workers(bench) as mine:
        first = mine.start()
        handles = [await bench.client.start(effects, id=f"run-{number}")(length) for number in range(runs)]

        async def halfway() -> bool:
            return mine.effects().total() >= runs * length // 2

        await until(halfway)
        mine.kill(first)
        before = mine.effects().total()
        mine.start()
        with bench.timed() as timer:
            for handle in handles:
                assert await handle.result() == length
        happened = mine.effects()
        assert len(happened) == runs * length
        return [
            Sample("from the kill until all was done", "s", timer.seconds),
            Sample("effects before the kill", "%", 100 * before / (runs * length)),
            Sample("effects repeated", "", happened.total() - len(happened)),
        ]


# --- W11


def _several(scale: Scale) -> Sequence[Part]:
    counts = (1, 2) if scale == "tiny" else (1, 2, 4)
    return [Part("", partial(_share, counts=counts, runs=sized(scale, 1_000, 200, 4)))]


async def _share(bench: Bench, *, counts: Sequence[int], runs: int) -> Sequence[Sample]:
    samples: list[Sample] = []
    rates: dict[int, float] = {}
    with workers(bench) as mine:
        for count in counts:
            while len(mine.alive) < count:
                mine.start()
            await until(partial(_have_shared, bench, count))
            cpu_s = mine.cpu_s()
            with bench.timed() as timer:
                await bench.execute_many(chain, 10, runs=runs, at_once=100, result=10, prefix=f"run-{count}")
            rates[count] = timer.rate(runs * 10)
            each_us = 1_000_000 * (mine.cpu_s() - cpu_s) / (runs * 10)
            samples.append(Sample(_processes(count), "activities/s", rates[count]))
            samples.append(Sample(f"{_processes(count)}, CPU of an activity", "µs", each_us))
    samples.append(Sample(f"{_processes(counts[-1])} against 1", "x", rates[counts[-1]] / rates[1]))
    return samples


async def _have_shared(bench: Bench, count: int) -> bool:
    return len(set((await bench.client.store.holders("default")).values())) >= count


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


KILLS = Workload("W7", "SIGKILL in the middle, another worker takes over (lease of 2 s)", _kills)
SEVERAL = Workload("W11", "1, 2 and 4 worker processes, chains of 10, 100 runs in flight", _several)
