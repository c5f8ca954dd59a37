"""Time in a `TestEnvironment`: it skips when nothing else can happen, and at no other time."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from durable import Query, Signal, activity, heartbeat, now, sleep, workflow
from durable.errors import ActivityTimeoutError, InvalidCallError, RunFailedError, StuckTestError
from durable.testing import TestEnvironment

START = datetime(2024, 1, 1, tzinfo=UTC)
approved = Signal("approved", bool)
ticks: Query[int] = Query("ticks", int)


@activity
async def price(item: str) -> int:
    return len(item)


@workflow
async def long_sleep() -> str:
    for _ in range(100):
        await sleep("1 day")
    return "rested"


@workflow
async def patient() -> str:
    """Wait a week for an answer."""
    answer = await approved.receive(timeout="7 days", default=None)
    return {None: "nobody", True: "yes", False: "no"}[answer]


@workflow
async def clockwork() -> None:
    """Count the hours."""
    count = 0

    @ticks.handler
    def tell() -> int:
        return count

    while count < 100:
        await sleep("1 h")
        count += 1


async def test_a_hundred_days_take_less_than_50_ms() -> None:
    """Of real time, with the begin and the end of the environment. The best of many tries: the machine may be busy."""
    best = 1.0
    for _ in range(100):
        best = min(best, await seconds_of_a_hundred_days())
        if best < 0.05:
            return
    raise AssertionError(f"{best * 1000:.0f} ms")


async def seconds_of_a_hundred_days() -> float:
    @workflow
    async def hibernate() -> datetime:
        await sleep("100 days")
        return now()

    began = time.perf_counter()
    async with TestEnvironment(workflows=[hibernate]) as env:
        assert await env.client.execute(hibernate)() == START + timedelta(days=100)
    return time.perf_counter() - began


async def test_a_run_may_wake_many_times_on_the_way() -> None:
    """At each time that is due, and at no other: nothing ticks in virtual time."""
    async with TestEnvironment(workflows=[long_sleep]) as env:
        handle = await env.client.start(long_sleep)()
        assert await handle.result() == "rested"
        assert env.now == START + timedelta(days=100)
        times = {recorded.event.at for recorded in await handle.history()}
        assert len(times) == 101


async def test_time_stands_still_while_things_can_happen() -> None:
    """A signal that is sent right after the start comes before the end of the week."""
    async with TestEnvironment(workflows=[patient]) as env:
        handle = await env.client.start(patient)()
        await handle.signal(approved, False)
        assert await handle.result() == "no"
        assert env.now == START


async def test_time_skips_while_a_result_is_awaited() -> None:
    """To the time that is due, and not past it."""
    async with TestEnvironment(workflows=[patient]) as env:
        assert await env.client.execute(patient)() == "nobody"
        assert env.now == START + timedelta(days=7)


async def test_time_skips_while_a_test_waits_for_something_of_its_own() -> None:
    """Once nothing else in the loop can run: then it is the only way on."""
    reached = asyncio.Event()

    @activity
    async def reach() -> None:
        reached.set()

    @workflow
    async def flow() -> None:
        await sleep("3 days")
        await reach()

    async with TestEnvironment(workflows=[flow], activities=[reach]) as env:
        await env.client.start(flow)()
        await reached.wait()
        assert env.now == START + timedelta(days=3)


async def test_a_test_that_does_something_real_keeps_its_time() -> None:
    """A timer of the real loop, as of a request to a server: nobody waits for the environment meanwhile."""
    async with TestEnvironment(workflows=[patient]) as env:
        handle = await env.client.start(patient)()
        timer = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, timer.set)
        await timer.wait()
        assert env.now == START
        await handle.signal(approved, True)
        assert await handle.result() == "yes"


async def test_a_real_activity_holds_up_time() -> None:
    """It awaits the real loop: what is due later has to wait."""

    @activity
    async def fetch() -> str:
        await asyncio.sleep(0.02)
        return "fetched"

    @workflow
    async def flow() -> str:
        async with asyncio.timeout(60):
            return await fetch()

    async with TestEnvironment(workflows=[flow], activities=[fetch]) as env:
        assert await env.client.execute(flow)() == "fetched"
        assert env.now == START


async def test_a_fake_takes_virtual_time() -> None:
    """So a limit can be reached."""

    @activity(timeout="30 s")
    async def slow() -> str:
        raise AssertionError("faked")

    @workflow
    async def flow() -> str:
        try:
            return await slow()
        except ActivityTimeoutError as error:
            return error.kind

    async with TestEnvironment(workflows=[flow], activities=[slow]) as env:
        with env.fake(slow, returns="done", takes="20 s"):
            assert await env.client.execute(flow)() == "done"
            assert env.now == START + timedelta(seconds=20)
        env.fake(slow, returns="done", takes="40 s")
        assert await env.client.execute(flow)() == "attempt"
        assert [call.attempt for call in env.calls(slow)] == [1, *range(1, 11)]


async def test_frozen_time_moves_by_hand_only() -> None:
    """`advance` goes through what is due on the way, and no further."""
    async with TestEnvironment(workflows=[clockwork]) as env:
        async with env.frozen():
            handle = await env.client.start(clockwork)()
            await env.advance("2 h 59 min")
            assert await handle.query(ticks) == 2
            await env.advance("1 min")
            assert await handle.query(ticks) == 3
            assert env.now == START + timedelta(hours=3)
        await handle.result()
        assert env.now == START + timedelta(hours=100)


async def test_advance_stops_at_its_time_although_somebody_waits_for_a_result() -> None:
    """Only when it has returned does time skip again."""
    async with TestEnvironment(workflows=[clockwork]) as env:
        handle = await env.client.start(clockwork)()
        result = asyncio.create_task(handle.result())
        await env.advance("10 h")
        assert env.now == START + timedelta(hours=10)
        assert not result.done()
        await result
        assert env.now == START + timedelta(hours=100)


async def test_advance_lets_a_real_activity_end_first() -> None:
    """What it leads to happens at the time at which it began."""

    @activity
    async def fetch() -> None:
        await asyncio.sleep(0.02)

    @workflow
    async def flow() -> datetime:
        await fetch()
        return now()

    async with TestEnvironment(workflows=[flow], activities=[fetch]) as env:
        handle = await env.client.start(flow)()
        await env.advance("1 h")
        assert await handle.result() == START


async def test_advance_does_not_wait_for_an_activity_that_waits_for_the_test() -> None:
    """Nothing in the loop could end it: so its limit can be reached."""
    gate = asyncio.Event()

    @activity(timeout="1 h", total_timeout="90 min")
    async def gated() -> None:
        await gate.wait()

    @workflow
    async def flow() -> None:
        await gated()

    async with TestEnvironment(workflows=[flow], activities=[gated]) as env:
        handle = await env.client.start(flow)()
        await env.advance("59 min")
        assert (await handle.describe()).status == "running"
        await env.advance("1 h")
        with pytest.raises(RunFailedError):
            await handle.result()


async def test_sleep_is_a_wait_that_lets_time_pass() -> None:
    """In a test, and in the function of a fake, where it takes virtual time."""

    async def slowly(item: str) -> int:
        await env.sleep("5 min")
        return 1

    @workflow
    async def flow() -> int:
        return await price("tea")

    async with TestEnvironment(workflows=[flow], activities=[price]) as env:
        await env.sleep("1 day")
        env.fake(price, calls=slowly)
        assert await env.client.execute(flow)() == 1
        assert env.now == START + timedelta(days=1, minutes=5)


async def test_the_clock_can_be_set_forwards_and_back() -> None:
    """As on a machine: what is due by the new time comes, and nothing comes twice."""
    noon = datetime(2030, 6, 1, 12, tzinfo=UTC)
    async with TestEnvironment(workflows=[patient], start_time=noon) as env:
        assert env.now == noon
        handle = await env.client.start(patient)()
        env.set_time(noon - timedelta(days=1))
        await env.settle()
        assert (await handle.describe()).status == "running"
        env.set_time(noon + timedelta(days=30))
        await env.settle()
        assert (await handle.describe()).status == "completed"
        assert await handle.result() == "nobody"


async def test_ids_and_times_are_the_same_in_every_run() -> None:
    """So that a test that fails fails again."""

    async def story() -> list[object]:
        async with TestEnvironment(workflows=[patient]) as env:
            handle = await env.client.start(patient)()
            await handle.result()
            return [handle.workflow_id, handle.run_id, *(event.record for event in await handle.history())]

    assert await story() == await story()


async def test_plain_functions_run_inline_unless_threads_are_asked_for() -> None:
    """With their heartbeats and their information either way."""

    @activity
    def where() -> str:
        heartbeat("here")
        return threading.current_thread().name

    @workflow
    async def flow() -> str:
        return await where()

    here = threading.current_thread().name
    async with TestEnvironment(workflows=[flow], activities=[where]) as env:
        assert await env.client.execute(flow)() == here
    async with TestEnvironment(workflows=[flow], activities=[where], threads=True) as env:
        assert await env.client.execute(flow)() != here


async def test_an_activity_may_use_the_client() -> None:
    """While it waits for a run, it does not hold up time."""

    @activity
    async def oversee() -> str:
        return await env.client.execute(long_sleep)()

    @workflow
    async def flow() -> str:
        return await oversee()

    async with TestEnvironment(workflows=[flow, long_sleep], activities=[oversee]) as env:
        assert await env.client.execute(flow)() == "rested"


async def test_a_limit_on_waiting_is_virtual() -> None:
    """`result(timeout=)` and a query that nobody answers end at once."""
    async with TestEnvironment(workflows=[long_sleep]) as env:
        handle = await env.client.start(long_sleep)()
        with pytest.raises(TimeoutError):
            await handle.result(timeout="2 days 12 h")
        assert env.now == START + timedelta(days=2, hours=12)


async def test_a_century_passes_and_the_worker_is_still_there() -> None:
    """Sessions and leases do not expire by virtual time."""

    @workflow
    async def flow() -> None:
        await sleep(timedelta(days=30_000))
        await sleep(timedelta(days=30_000))
        await price("tea")

    async with TestEnvironment(workflows=[flow], activities=[price]) as env:
        await env.client.execute(flow)()
        assert env.now == START + timedelta(days=60_000)


async def test_frozen_time_fails_a_wait_that_needs_it() -> None:
    """Rather than hang."""
    async with TestEnvironment(workflows=[long_sleep]) as env:
        handle = await env.client.start(long_sleep)()
        env.freeze()
        with pytest.raises(StuckTestError, match="time is frozen, and the next thing to happen is due in 86400 s"):
            await handle.result()
        env.unfreeze()
        assert await handle.result() == "rested"


async def test_what_cannot_be_asked_is_refused() -> None:
    """With what to do instead."""
    env = TestEnvironment(workflows=[long_sleep])
    with pytest.raises(InvalidCallError, match="async with"):
        _ = env.client
    with pytest.raises(InvalidCallError, match="async with"):
        await env.advance(1)
    async with env:
        with pytest.raises(InvalidCallError, match="not frozen"):
            env.unfreeze()
        with pytest.raises(ValueError, match="time zone"):
            env.set_time(datetime(2024, 1, 1))
    with pytest.raises(InvalidCallError, match="entered once"):
        await env.__aenter__()
    with pytest.raises(InvalidCallError, match="time is real"):
        TestEnvironment(store="sqlite:///x.db", start_time=START)


async def test_nothing_is_left_behind() -> None:
    """Neither tasks nor threads, with activities under way and runs open."""

    @workflow
    async def flow() -> int:
        return await price("tea")

    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with TestEnvironment(workflows=[flow, long_sleep], activities=[price]) as env:
        env.fake(price, returns=1, takes="1 h")
        await env.client.start(flow)()
        await env.client.start(long_sleep)()
        await env.settle()
    assert asyncio.all_tasks() == tasks
    assert set(threading.enumerate()) == threads
