"""Workers of a `TestEnvironment`: killed, without a cache, on many queues, and on a real store."""

import asyncio
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from durable import Client, JsonCodec, Query, Signal, activity, activity_info, heartbeat, proxy, sleep, workflow
from durable.errors import InvalidCallError, StuckTestError
from durable.testing import TestEnvironment

approved = Signal("approved", str)
seen: Query[list[str]] = Query("seen", list[str])


@activity
async def price(item: str) -> int:
    return len(item)


@workflow
async def collect() -> list[str]:
    """Take three signals, with an activity and a day between them."""
    got: list[str] = []

    @seen.handler
    def tell() -> list[str]:
        return got

    for _ in range(3):
        name = await approved.receive()
        got.append(f"{name}{await price(name)}")
        await sleep("1 day")
    return got


async def drive(env: TestEnvironment, *, crash: bool) -> list[str]:
    """Bring a run of `collect` to its end, killing the worker between any two steps if `crash`."""
    handle = await env.client.start(collect, id="c-1")()
    for name in ("a", "bb", "ccc"):
        if crash:
            await env.crash_worker()
        await handle.signal(approved, name)
        await env.settle()
        if crash:
            await env.crash_worker()
        assert (await handle.query(seen))[-1] == f"{name}{len(name)}"
        await env.advance("1 day")
    return await handle.result()


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_crashes_and_replays_do_not_show(cache_runs: int | None, *, crash: bool) -> None:
    """The result is the same, and each activity ran once."""
    async with TestEnvironment(workflows=[collect], activities=[price], cache_runs=cache_runs) as env:
        assert await drive(env, crash=crash) == ["a1", "bb2", "ccc3"]
        assert [call["item"] for call in env.calls(price)] == ["a", "bb", "ccc"]


async def test_without_a_cache_every_step_is_a_replay() -> None:
    """So code that looks at something outside of the run is found."""
    looks: list[int] = []

    @workflow
    async def flow() -> None:
        looks.append(0)
        await sleep(1)
        await sleep(1)

    async with TestEnvironment(workflows=[flow], cache_runs=0) as env:
        await env.client.execute(flow)()
    assert len(looks) == 3


async def test_an_activity_that_loses_its_worker_runs_again() -> None:
    """As another delivery of the same attempt, which finds what it said by `heartbeat`; what the first one still does is lost."""
    deliveries: list[tuple[int, int, int | None]] = []
    gate = asyncio.Event()

    @activity
    async def copy() -> str:
        info = activity_info()
        deliveries.append((info.attempt, info.delivery, info.details(int)))
        if info.delivery == 1:
            heartbeat(7)
            try:
                await gate.wait()
            except asyncio.CancelledError:
                return "too late"
        return "copied"

    @workflow
    async def flow() -> str:
        return await copy()

    async with TestEnvironment(workflows=[flow], activities=[copy]) as env:
        handle = await env.client.start(flow)()
        await env.settle()
        await env.crash_worker()
        assert await handle.result() == "copied"
        assert deliveries == [(1, 1, None), (1, 2, 7)]


async def test_a_task_that_loses_its_worker_each_time_is_parked() -> None:
    """A test that waits for it is told so."""
    gate = asyncio.Event()

    @activity
    async def deadly() -> None:
        await gate.wait()

    @workflow
    async def flow() -> None:
        await deadly()

    async with TestEnvironment(workflows=[flow], activities=[deadly]) as env:
        handle = await env.client.start(flow)()
        for _ in range(5):
            await env.settle()
            await env.crash_worker()
        with pytest.raises(StuckTestError, match="activity 'deadly', attempt 1, which is parked"):
            await handle.result()
        assert len(await env.client.parked.list()) == 1


async def test_every_queue_that_is_used_has_a_worker() -> None:
    """That of a run, and that of an activity; without a jump of time past it."""

    @workflow
    async def flow() -> tuple[int, str]:
        async with asyncio.timeout(60):
            return await proxy(price, queue="warehouse")("tea"), "in time"

    async with TestEnvironment(workflows=[flow], activities=[price]) as env:
        assert await env.client.execute(flow, queue="front office")() == (3, "in time")
        assert env.now == datetime(2024, 1, 1, tzinfo=UTC)


async def test_a_queue_that_is_not_to_have_a_worker_has_none() -> None:
    """`queues` names those that have one."""
    async with TestEnvironment(workflows=[collect], activities=[price], queues=["mine"]) as env:
        handle = await env.client.start(collect, queue="yours")()
        with pytest.raises(StuckTestError, match="has not begun: does a worker serve queue 'yours'"):
            await handle.result()


async def test_what_is_offered_late_is_offered_by_later_workers_too() -> None:
    """An activity that is known only since it was faked survives a crash."""
    async with TestEnvironment(workflows=[collect]) as env:
        env.fake(price, calls=lambda item: len(item))
        assert await drive(env, crash=True) == ["a1", "bb2", "ccc3"]


async def test_a_codec_of_choice_is_used_by_all_parts() -> None:
    """By client and worker."""
    codec = JsonCodec()
    async with TestEnvironment(workflows=[collect], activities=[price], codec=codec) as env:
        assert env.client.codec is codec
        assert await drive(env, crash=False) == ["a1", "bb2", "ccc3"]


# --- a real store


@workflow
async def nap() -> int:
    """Sleep for a moment of real time, after an activity."""
    cents = await price("tea")
    await sleep(0.01)
    return cents


async def test_on_a_real_store_everything_is_the_same_but_time(tmp_path: Path) -> None:
    """Fakes, calls and crashes; what was written is there afterwards."""
    url = f"sqlite:///{tmp_path}/test.db"
    async with TestEnvironment(workflows=[nap], activities=[price], store=url) as env:
        assert await env.client.execute(nap, id="n-1")() == 3
        handle = await env.client.start(nap, id="n-2")()
        await env.crash_worker()
        assert await handle.result() == 3
        env.fake(price, returns=7)
        assert await env.client.execute(nap, id="n-3")() == 7
        assert abs(env.now - datetime.now(UTC)) < timedelta(minutes=1)
        for call in (env.advance(1), env.settle()):
            with pytest.raises(InvalidCallError, match="time is real"):
                await call
    async with Client.connect(url) as client:
        assert await client.count() == {"completed": 3}


async def test_on_a_real_store_a_test_is_told_what_cannot_come(tmp_path: Path) -> None:
    """Within a look or two, since time is real."""
    async with TestEnvironment(workflows=[nap], store=f"sqlite:///{tmp_path}/test.db") as env:
        with pytest.raises(StuckTestError, match="no workflow 'collect' is registered"):
            await env.client.execute(collect)()
        with pytest.raises(StuckTestError, match="activity 'price' was called"):
            await env.client.execute(nap)()


# --- other test runners


class TestUnittest(unittest.IsolatedAsyncioTestCase):
    """Works in `unittest` as it is."""

    async def asyncSetUp(self) -> None:
        self.env = await self.enterAsyncContext(TestEnvironment(workflows=[collect], activities=[price]))

    async def test_a_run(self) -> None:
        """From setup to the end."""
        assert await drive(self.env, crash=True) == ["a1", "bb2", "ccc3"]


def test_it_needs_no_plugin() -> None:
    """`asyncio.run` will do."""

    async def main() -> list[str]:
        async with TestEnvironment(workflows=[collect], activities=[price]) as env:
            return await drive(env, crash=False)

    assert asyncio.run(main()) == ["a1", "bb2", "ccc3"]
