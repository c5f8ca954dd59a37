"""A session is kept alive whatever the event loop does, and what was lost is noticed."""

import asyncio
import logging
import time

import pytest

from durable import Client, Worker, activity, workflow
from durable.stores import Lease, Renewal
from durable.testing._clock import ManualClock
from durable.worker._keeper import Keeper
from tests.worker.faulty import FaultyStore
from tests.worker.harness import until


class Holding:
    """Holds what it is told to, and remembers what it is told to have lost."""

    def __init__(self, *leases: Lease) -> None:
        self.held = leases
        self.heard: list[Renewal] = []

    def leases(self) -> tuple[Lease, ...]:
        return self.held

    def claims(self) -> list[str]:
        return []

    def lost(self, renewal: Renewal) -> None:
        self.heard.append(renewal)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_session_is_renewed_five_times_within_its_time_to_live() -> None:
    """By the clock, if the keeper runs in the loop; an error of the store costs one renewal, not the session."""
    clock = ManualClock()
    store = FaultyStore(clock)
    await store.begin_session("s", "test", b"", 5_000)
    keeper = Keeper(store, "s", 5_000, Holding(), use_thread=False)
    running = asyncio.ensure_future(keeper.run())
    store.refuse["renew"] = 2
    for _ in range(20):
        await settle()
        clock.advance(1)
    await settle()
    assert store.calls["renew"] == 20
    assert [session.id for session in await store.sessions("test")] == ["s"]
    keeper.stop()
    await running
    clock.advance(5)
    assert await store.sessions("test") == []


async def test_lost_leases_are_reported() -> None:
    """In the event loop, from the thread that found out."""
    store = FaultyStore()
    await store.begin_session("s", "test", b"", 60_000)
    await store.begin_session("t", "test", b"", 60_000)
    (lease,) = await store.acquire("s", "inbox", [0])
    await store.release([lease])
    await store.acquire("t", "inbox", [0])
    holding = Holding(lease)
    keeper = Keeper(store, "s", 100, holding, use_thread=True)
    running = asyncio.ensure_future(keeper.run())
    await until(lambda: holding.heard)
    keeper.stop()
    await running
    assert list(holding.heard[0].leases) == [lease]


async def test_a_blocked_loop_does_not_cost_the_session() -> None:
    """An activity that should have been a plain `def` blocks the loop for longer than the session lives."""
    ttl_s = 0.3

    @activity
    async def block() -> None:
        ends = time.monotonic() + 3 * ttl_s
        while time.monotonic() < ends:
            pass

    @workflow
    async def run_it() -> None:
        await block()

    store = FaultyStore()
    client = Client(store)
    async with Worker(client, workflows=[run_it], activities=[block], lease_ttl=ttl_s):
        handle = await client.start(run_it)()
        await handle.result(timeout=20)
        assert store.calls["renew"] >= 5
        assert [type(each.event).__name__ for each in await handle.history()].count("ActivityCompleted") == 1
        assert max(row.epoch for here in store._state.partitions for row in here.leases.values()) == 1


async def test_a_session_that_expired_is_begun_anew() -> None:
    """As after SIGSTOP, or with the store out of reach for long: the worker goes on by itself."""

    @activity
    async def answer() -> int:
        return 42

    @workflow
    async def ask() -> int:
        return await answer()

    async with Client.connect("memory:") as client:
        worker = Worker(client, workflows=[ask], activities=[answer], lease_ttl="200 ms")
        async with worker:
            assert await client.execute(ask)() == 42
            assert worker._life is not None
            await client.store.end_session(worker._life.session)
            handle = await client.start(ask)()
            assert await handle.result(timeout=20) == 42


async def test_a_store_that_stays_away_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The first failure is a warning, then one a minute or so; and that it is over."""
    clock = ManualClock()
    store = FaultyStore(clock)
    await store.begin_session("s", "test", b"", 5_000)
    store.refuse["renew"] = 61
    keeper = Keeper(store, "s", 5_000, Holding(), use_thread=False)
    task = asyncio.create_task(keeper.run())
    for _ in range(62):
        await settle()
        clock.advance(1.0)
    await settle()
    keeper.stop()
    await task
    first, second, over = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert first == second
    assert first.startswith("the session could not be renewed, next try in 1 s")
    assert over == "the session is renewed again, after 61 tries in vain"
