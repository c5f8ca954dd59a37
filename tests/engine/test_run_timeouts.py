"""Time limits of a run and of its whole chain, and `asyncio`'s own, in virtual time."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from durable import Handle
from durable.author import Signal, activity, continue_as_new, now, sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunClosedError, RunTimedOutError
from durable.history import RunStarted, RunTimedOut
from durable.testing import TestEnvironment, assert_replays
from tests.engine.env import engines

go = Signal("go", int)


@activity
async def work() -> None: ...


@workflow
async def hourly(left: int, done: int = 0) -> int:
    """A chain: an hour for each run."""
    await sleep(3600)
    if left > 1:
        continue_as_new(left - 1, done + 1)
    return done + 1


@workflow(timeout="2 hours")
async def limited(seconds: int) -> str:
    await sleep(seconds)
    return "done"


async def seconds_to(handle: Handle[Any], env: TestEnvironment) -> tuple[str, float]:
    """How the run ended, and after how many seconds of virtual time."""
    began = env.now
    with pytest.raises(RunTimedOutError) as raised:
        await handle.result()
    return raised.value.kind, (env.now - began).total_seconds()


async def test_a_run_ends_at_its_own_limit() -> None:
    """That of the start goes before that of the workflow; the error says which one it was."""
    async with TestEnvironment(workflows=[limited]) as env:
        by_workflow = await env.client.start(limited, id="a")(10_000)
        assert await seconds_to(by_workflow, env) == ("run", 7200)
        by_start = await env.client.start(limited, id="b", run_timeout=60)(10_000)
        assert await seconds_to(by_start, env) == ("run", 60)
        described = await by_start.describe()
        assert (described.status, described.timeout) == ("timed_out", timedelta(seconds=60))
        assert_replays(limited, await by_start.history())


async def test_a_chain_ends_at_its_limit_in_whichever_run_is_current() -> None:
    """Each run is within its own limit."""
    async with TestEnvironment(workflows=[hourly]) as env:
        start = env.client.start(hourly, id="c", run_timeout="2 hours", execution_timeout="5.5 hours")
        handle = await start(100)
        began = env.now
        with pytest.raises(RunTimedOutError, match="the time limit of its chain of 19800 s") as raised:
            await handle.result()
        assert raised.value.kind == "execution"
        assert (env.now - began).total_seconds() == 5.5 * 3600
        last = await env.client.handle("c").history()
        started, closed = last[0].event, last[-1].event
        assert isinstance(started, RunStarted)
        assert isinstance(closed, RunTimedOut)
        assert closed.kind == "execution"
        assert started.deadline_ms == closed.at
        described = await env.client.handle("c").describe()
        assert described.execution_timeout is not None
        assert described.execution_timeout.total_seconds() == 5.5 * 3600
        assert (await handle.describe()).status == "continued_as_new"
        assert raised.value.run_id == described.run_id


async def test_each_run_of_a_chain_has_its_own_limit_anew() -> None:
    """Three hours in all, two for each."""
    async with TestEnvironment(workflows=[hourly]) as env:
        assert await env.client.execute(hourly, id="c", run_timeout="2 hours", execution_timeout="4 hours")(3) == 3
        assert (await env.client.store.inspect.counts())["dues"] == 0


async def test_a_run_of_a_chain_may_run_into_its_own_limit() -> None:
    """Then that is what it was."""
    async with TestEnvironment(workflows=[hourly]) as env:
        handle = await env.client.start(hourly, id="c", run_timeout=1800, execution_timeout="4 hours")(3)
        assert await seconds_to(handle, env) == ("run", 1800)


async def test_the_limit_of_the_next_run_may_be_another() -> None:
    """By `into(run_timeout=...)`."""

    @workflow(name="shorter")
    async def shorter(round_: int) -> None:
        if round_ == 0:
            continue_as_new.into(run_timeout=30)(1)
        await sleep(60)

    async with TestEnvironment(workflows=[shorter]) as env:
        handle = await env.client.start(shorter, id="s", run_timeout=600)(0)
        assert await seconds_to(handle, env) == ("run", 30)


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_limits_outlive_a_worker(cache_runs: int | None) -> None:
    """They are kept in the store, and judged by its clock: also where nobody was there when they came."""
    async with engines() as env:
        session = await env.begin([hourly], cache_runs=cache_runs)
        handle = await env.client.start(hourly, id="c", execution_timeout="90 minutes")(5)
        await env.advance(3600)
        await env.advance(1)
        await env.kill(session)
        await env.advance(36_000)
        await env.begin([hourly], cache_runs=cache_runs)
        with pytest.raises(RunTimedOutError) as raised:
            await env.drive(handle.result())
        assert raised.value.kind == "execution"


async def test_a_run_that_no_code_can_step_runs_into_the_limit_of_its_chain() -> None:
    """A stuck run ends as any other."""

    @workflow(name="gone")
    async def gone() -> None:
        await sleep(3600)

    async with engines() as env:
        session = await env.begin([gone])
        handle = await env.client.start(gone, id="g", execution_timeout=600)()
        await env.settle()
        await env.kill(session)
        await env.begin([limited])
        with pytest.raises(RunTimedOutError) as raised:
            await env.drive(handle.result())
        assert raised.value.kind == "execution"


async def test_a_retry_gives_back_what_was_left_of_the_chains_time() -> None:
    """The time in which the run was closed does not count, however long that was."""
    broken = [True]

    @workflow(name="mended")
    async def mended() -> None:
        await sleep(600)
        if broken[0]:
            raise ValueError("not yet")
        await sleep(3000)

    async with TestEnvironment(workflows=[mended]) as env:
        handle = await env.client.start(mended, id="m", execution_timeout=1000)()
        with pytest.raises(Exception, match="not yet"):
            await handle.result()
        await env.advance("1 day")
        broken[0] = False
        await handle.retry()
        assert await seconds_to(handle, env) == ("execution", 400)
        assert isinstance((await handle.history())[-1].event, RunTimedOut)


async def test_a_retry_in_the_first_step_keeps_the_chains_time_too() -> None:
    """Where the start itself is delivered anew."""
    broken = [True]

    @workflow(name="first-step")
    async def first_step() -> None:
        if broken[0]:
            raise ValueError("not yet")
        await sleep(3000)

    async with TestEnvironment(workflows=[first_step], cache_runs=0) as env:
        handle = await env.client.start(first_step, id="m", execution_timeout=1000)()
        for round_ in range(2):
            with pytest.raises(Exception, match="not yet"):
                await handle.result()
            await env.advance(5000)
            broken[0] = round_ == 0
            await handle.retry()
        assert await seconds_to(handle, env) == ("execution", 1000)
        assert_replays(first_step, await handle.history())


async def test_a_timer_at_the_same_time_as_the_limit_comes_first_or_not_at_all() -> None:
    """Both are due at once: either end is right, and there is one."""
    async with TestEnvironment(workflows=[limited]) as env:
        handle = await env.client.start(limited, id="a", run_timeout=60)(60)
        try:
            assert await handle.result() == "done"
        except RunTimedOutError as error:
            assert error.kind == "run"
        assert (await env.client.store.inspect.counts())["dues"] == 0


@pytest.mark.parametrize("early", [True, False])
async def test_a_signal_races_with_the_limit(early: bool) -> None:
    """One that comes before is read; one that comes after finds a closed run."""

    @workflow(name="hears")
    async def hears() -> int:
        return await go.receive()

    async with TestEnvironment(workflows=[hears]) as env:
        handle = await env.client.start(hears, id="h", run_timeout=60)()
        if early:
            await env.advance(59)
            await handle.signal(go, 1)
            assert await handle.result() == 1
        else:
            assert (await seconds_to(handle, env))[0] == "run"
            with pytest.raises(RunClosedError):
                await handle.signal(go, 1)


async def test_a_child_that_times_out_says_which_limit_it_was() -> None:
    """Its parent gets the error as its cause."""

    @workflow(name="parent")
    async def parent() -> str:
        child = await start_child(limited, id="child")(100_000)
        try:
            return await child.result()
        except ChildWorkflowError as error:
            return f"{type(error.__cause__).__name__}: {error.__cause__}"

    async with TestEnvironment(workflows=[parent, limited]) as env:
        told = await env.client.execute(parent, id="p")()
        assert told.startswith("RunTimedOutError")
        assert "its time limit of 7200 s" in told


# --- asyncio's own, over a continue-as-new


@workflow
async def bounded(round_: int) -> tuple[int, float]:
    """A timeout in one run has nothing to do with the next one's."""
    began = now()
    try:
        async with asyncio.timeout(10):
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                if round_ < 2:
                    await sleep(5)
                    continue_as_new(round_ + 1)
                group.create_task(sleep(60))
    except TimeoutError:
        return round_, (now() - began).total_seconds()
    raise AssertionError("nothing ended it")


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_timeouts_and_groups_end_with_their_run(cache_runs: int | None) -> None:
    """What they had started is given up, and the next run begins with nothing."""
    async with TestEnvironment(workflows=[bounded], activities=[work], cache_runs=cache_runs) as env:
        assert await env.client.execute(bounded, id="b", run_timeout=30)(0) == (2, 10)
        counts = await env.client.store.inspect.counts()
        assert (counts["tasks"], counts["dues"]) == (0, 0)


async def test_wait_for_with_continue_as_new_after_it() -> None:
    """The usual loop of a poller: wait for a while, then go on as new."""

    @workflow(name="polls")
    async def polls(round_: int) -> int:
        try:
            return await asyncio.wait_for(go.receive(), 60)
        except TimeoutError:
            continue_as_new(round_ + 1)

    async with TestEnvironment(workflows=[polls]) as env:
        handle = await env.client.start(polls, id="p", execution_timeout="1 hour")(0)
        await env.advance(600)
        await handle.signal(go, 7)
        assert await handle.result() == 7
        assert (await env.client.count())["continued_as_new"] == 10
