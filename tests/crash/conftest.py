"""A store, a ledger beside it, and worker processes that can be killed."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable import Client, _limits
from durable.history import ActivityCompleted, LocalActivityCompleted, RecordedEvent, SignalReceived
from tests.crash.program import EFFECTS, SIGNALS, bonus, expected, journey, ledger
from tests.engine.harness import replayed_execution

ROOT = Path(__file__).parents[2]
TTL_S = 1.0


class Workers:
    """Worker processes on one store. `module` is the program that each runs."""

    module = "tests.crash.program"
    ttl_s = TTL_S

    def __init__(self, url: str, book: str, log: Path) -> None:
        self.url, self.book, self._log = url, book, log
        self.alive: list[subprocess.Popen[bytes]] = []
        self.killed = 0
        self.losses = 0  # how often one was killed or paused: only then may an effect be repeated

    def start(self) -> "subprocess.Popen[bytes]":
        """Start one more."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", self.module, self.url, self.book, str(self.ttl_s)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.alive.append(process)
        return process

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill it as the machine's OOM killer would."""
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL, f"it had ended by itself:\n{self.log()[-4000:]}"
        self.forget(process)
        self.killed += 1
        self.losses += 1

    def pause(self, process: "subprocess.Popen[bytes]") -> bool:
        """Stop it with SIGSTOP; False, and it goes on, if that caught it with a lock of a file in its hands.

        Whoever is stopped within a transaction of SQLite keeps all others from writing: that is the file's lock, not ours.
        """
        process.send_signal(signal.SIGSTOP)
        files = [self.book]
        if self.url.startswith("sqlite:"):
            files.append(self.url.removeprefix("sqlite:///"))
        for path in files:
            connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                return False
            finally:
                connection.close()
        self.losses += 1
        return True

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop it in good order."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, self.log()[-4000:]
        self.forget(process)

    def forget(self, process: "subprocess.Popen[bytes]") -> None:
        """Let go of a process that has ended."""
        self.alive.remove(process)
        assert process.stdout is not None
        process.stdout.close()

    def log(self) -> str:
        """Return what the workers wrote to standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Kill what is alive."""
        for process in list(self.alive):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
            self.forget(process)


class Scene:
    """The client's side: starts runs, sends signals, waits, and reckons at the end."""

    def __init__(self, client: Client, workers: Workers) -> None:
        self.client, self.workers = client, workers
        self.started: list[int] = []
        self.signalled: list[int] = []
        self.released = 0  # how many tasks were parked, and put back by the operator

    async def start(self, count: int) -> None:
        """Start more runs."""
        for _ in range(count):
            run = len(self.started)
            await self.client.start(journey, id=f"run-{run}")(run)
            self.started.append(run)

    async def signal(self) -> None:
        """Send its signals to the oldest run that has none yet."""
        run = len(self.signalled)
        if run < len(self.started):
            for value in range(1, SIGNALS + 1):
                await self.client.handle(f"run-{run}").signal(bonus, 1000 * value)
            self.signalled.append(run)

    def effects(self) -> int:
        """Return how many effects the ledger has."""
        with ledger(self.workers.book) as book:
            (count,) = book.execute("SELECT count(*) FROM effects").fetchone()
            return int(count)

    async def until(self, condition: Callable[[], Any], *, within_s: float = 30.0) -> bool:
        """Wait until `condition()` is true; False after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = condition()
                    if isinstance(found, Awaitable):
                        found = await found
                    if found:
                        return True
                    await asyncio.sleep(0.01)  # what other processes do, nobody tells us
        except TimeoutError:
            return False

    async def holders(self) -> Counter[str]:
        """Return how many partitions each session owns."""
        return Counter((await self.client.store.holders("default")).values())

    @asynccontextmanager
    async def operated(self) -> AsyncIterator[None]:
        """Release what is parked while the block waits: a task that was under way at five of the kills is, and waits for a human."""
        operator = asyncio.create_task(self._operate())
        try:
            yield
        finally:
            operator.cancel()
            await asyncio.wait([operator])
        if not operator.cancelled():
            await operator  # it never ends by itself but by an error
        # Nothing is parked whose workers were not lost.
        assert not self.released or self.workers.losses >= _limits.TASK_DELIVERIES_MAX

    async def _operate(self) -> None:
        while True:
            parked = await self.client.parked.list()
            if parked:
                assert all(task.deliveries >= _limits.TASK_DELIVERIES_MAX for task in parked), parked
                self.released += await self.client.parked.release(*(task.id for task in parked))
            await asyncio.sleep(0.1)  # nobody tells what the store parks

    async def reckon(self) -> None:
        """Every run ended with the right result; every activity and signal is recorded once; the world saw each effect."""
        async with self.operated():
            for run in self.started:
                handle = self.client.handle(f"run-{run}", workflow=journey)
                assert await handle.result(timeout=60) == expected(run), self.workers.log()[-4000:]
                history = await handle.history()
                self._check(history)
        with ledger(self.workers.book) as book:
            keys = dict(book.execute("SELECT key, count(*) FROM effects GROUP BY key").fetchall())
            per_run = dict(book.execute("SELECT run, count(DISTINCT key) FROM effects GROUP BY run").fetchall())
        assert per_run == dict.fromkeys(self.started, EFFECTS)
        # An effect may be repeated if its worker died between the effect and its record, and only then.
        assert max(keys.values()) <= 1 + self.workers.losses
        assert sum(keys.values()) - len(keys) <= 30 * (1 + self.workers.losses)
        counts = await self.client.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"], counts["dues"]) == (0, 0, 0), counts

    @staticmethod
    def _check(history: Any) -> None:
        events = [recorded.event for recorded in history]
        done = [event.id for event in events if isinstance(event, ActivityCompleted | LocalActivityCompleted)]
        assert len(done) == len(set(done)) == EFFECTS
        requests = [event.request for event in events if isinstance(event, SignalReceived)]
        assert len(requests) == len(set(requests)) == SIGNALS
        records = [recorded.record for recorded in history]
        replayed_execution(journey, records).dispose()
        assert [RecordedEvent.read(n, record).seq for n, record in enumerate(records, 1)] == list(
            range(1, len(records) + 1)
        )


@pytest.fixture(params=["sqlite", "redis"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """Give a client on a fresh store, and nobody who works."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
    workers = Workers(url, os.fspath(tmp_path / "ledger.db"), tmp_path / "workers.log")
    try:
        async with Client.connect(url) as client:
            yield Scene(client, workers)
    finally:
        workers.close()
