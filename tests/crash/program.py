"""A worker that may be killed at any time: `python -m tests.crash.program STORE_URL LEDGER LEASE_TTL`.

Every effect of its activities is noted in an outside ledger, a plain SQLite file in autocommit mode, before the activity
returns: what the ledger says has happened in the world, whatever the worker lives to tell.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator

from durable import Client, RetryPolicy, Signal, Worker, activity, activity_info, local, sleep, workflow

bonus = Signal("bonus", int)
SIGNALS = 3
EFFECTS = 7  # of each run
THREADS = 4  # of each worker
_RETRY = RetryPolicy(initial_interval=0.05, max_attempts=None)


@contextlib.contextmanager
def ledger(path: str) -> Iterator[sqlite3.Connection]:
    """Open the ledger."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT, run INTEGER, pid INTEGER)")
        yield connection
    finally:
        connection.close()


def note(run: int) -> None:
    """Note an effect of the current activity."""
    with ledger(sys.argv[2]) as book:
        book.execute("INSERT INTO effects VALUES (?, ?, ?)", (activity_info().idempotency_key, run, os.getpid()))


@activity(retry=_RETRY)
async def pay(run: int, step: int) -> int:
    """An effect, from the worker's loop."""
    note(run)
    return run + step


@activity(retry=_RETRY)
def pack(run: int) -> int:
    """An effect, from a thread."""
    note(run)
    return run


@activity(retry=_RETRY)
async def check(run: int) -> int:
    """A local activity: an effect within a step."""
    note(run)
    return run


@workflow(name="journey")
async def journey(run: int) -> int:
    """Seven effects, two timers and three signals."""
    total = 0
    for step in range(3):
        total += await pay(run, step)
    await sleep(0.05)
    total += sum(await asyncio.gather(pay(run, 3), pack(run), pay(run, 4)))
    for _ in range(SIGNALS):
        total += await bonus.receive()
    await sleep(0.02)
    total += await local(check)(run)
    return total


def expected(run: int) -> int:
    """Return the result of a run whose signals had the values 1000, 2000 and 3000."""
    return 7 * run + 0 + 1 + 2 + 3 + 4 + 6000


async def main() -> None:
    """Work until told to stop."""
    url, _, ttl = sys.argv[1:4]
    async with Client.connect(url) as client:
        print("connected", flush=True)
        await Worker(
            client,
            workflows=[journey],
            activities=[pay, pack, check],
            lease_ttl=float(ttl),
            grace=5,
            max_threads=THREADS,
        ).run()


if __name__ == "__main__":
    asyncio.run(main())
