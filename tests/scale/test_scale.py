"""Much of one thing at once: nothing is lost, nothing waits for ever, and no step takes the others' time."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from durable import Signal, Update, activity, sleep, workflow
from durable.history import ActivityCompleted, TimerFired
from durable.testing import TestEnvironment, replay

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(300)]

numbers = Signal("numbers", int)
amount = Update("amount", int, int)
done = Signal("done")


@workflow
async def wakes(count: int, delay: float) -> int:
    """Many timers, all due at once."""
    await asyncio.gather(*(sleep(delay) for _ in range(count)))
    return count


@workflow
async def sums(count: int) -> int:
    """Reads many signals."""
    total = 0
    async for number in numbers:
        total += number
        count -= 1
        if count == 0:
            break
    return total


@activity
async def add(a: int, b: int) -> int:
    """The smallest activity."""
    return a + b


@workflow
async def long_chain(count: int) -> int:
    """One activity after the other."""
    total = 0
    for number in range(count):
        total = await add(total, number)
    return total


def url_of(store: str, tmp_path: Path) -> str | None:
    """Return the URL of a file on which it is work that counts, and not how quick the disk is; None for memory."""
    return None if store == "memory" else f"sqlite:///{tmp_path / 'scale.db'}?synchronous=normal"


def on_disk(count: int) -> int:
    """Return how many of what takes a file ten seconds and more there are to be: all in `nox -s scale`, else a tenth."""
    return count if os.environ.get("DURABLE_SCALE") == "all" else count // 10


async def test_100_000_timers_due_in_the_same_second() -> None:
    async with TestEnvironment(workflows=[wakes]) as env:
        began = env.now
        handles = [await env.client.start(wakes, id=f"run-{n}")(1_000, 3_600) for n in range(100)]
        assert [await handle.result() for handle in handles] == [1_000] * 100
        assert 3_600 <= (env.now - began).total_seconds() < 3_602
        for handle in handles[::25]:
            fired = [r.event.id for r in await handle.history() if isinstance(r.event, TimerFired)]
            assert fired == list(range(1, 1_001))


async def test_100_000_timers_due_in_the_same_second_on_sqlite(tmp_path: Path) -> None:
    runs = on_disk(100)
    async with TestEnvironment(workflows=[wakes], store=url_of("sqlite", tmp_path)) as env:
        handles = [await env.client.start(wakes, id=f"run-{n}")(1_000, 0.04 * runs) for n in range(runs)]
        assert [await handle.result() for handle in handles] == [1_000] * runs
        for handle in handles[::25]:
            fired = [r.event.id for r in await handle.history() if isinstance(r.event, TimerFired)]
            assert fired == list(range(1, 1_001))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_10_000_signals_to_one_run(store: str, tmp_path: Path) -> None:
    async with TestEnvironment(workflows=[sums], store=url_of(store, tmp_path)) as env:
        handle = await env.client.start(sums, id="sums")(10_000)
        for first in range(0, 10_000, 100):
            await asyncio.gather(*(handle.signal(numbers, number) for number in range(first, first + 100)))
        assert await handle.result() == sum(range(10_000))
        assert replay(sums, await handle.history()).ok


@workflow
async def tally() -> int:
    """Sums up what it is asked to."""
    total = 0

    @amount.handler
    async def on_amount(n: int) -> int:
        nonlocal total
        total += n if n % 10 else await add(n, 0)
        return n

    await done.receive()
    return total


async def test_5_000_updates_to_one_run() -> None:
    async with TestEnvironment(workflows=[tally], activities=[add]) as env:
        handle = await env.client.start(tally, id="tally")()
        for first in range(0, 5_000, 100):
            numbers_of = range(first, first + 100)
            assert await asyncio.gather(*(handle.update(amount, n) for n in numbers_of)) == list(numbers_of)
        await handle.signal(done)
        assert await handle.result() == sum(range(5_000))
        assert replay(tally, await handle.history()).ok


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_run_of_20_000_events(store: str, tmp_path: Path) -> None:
    # With an execution cache of size 0, each of the 10,000 steps would replay all that came before it.
    count = 10_000 if store == "memory" else on_disk(10_000)
    options: dict[str, Any] = {"store": url_of(store, tmp_path), "cache_runs": 1}
    async with TestEnvironment(workflows=[long_chain], activities=[add], **options) as env:
        handle = await env.client.start(long_chain, id="long")(count)
        assert await handle.result() == sum(range(count))
        history = await handle.history()
        assert len(history) == 2 * count + 2
        done = [r.event.id for r in history if isinstance(r.event, ActivityCompleted)]
        assert done == list(range(1, count + 1))
        assert replay(long_chain, history).ok
