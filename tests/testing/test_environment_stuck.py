"""A test that waits for what cannot come is told so, and why."""

import asyncio
from datetime import timedelta

import pytest

from durable import Signal, activity, proxy, sleep, wait_condition, workflow
from durable.errors import ActivityTimeoutError, RunFailedError, StuckTestError
from durable.testing import TestEnvironment

approved = Signal("approved", bool)


@activity
async def price(item: str) -> int:
    return len(item)


@workflow
async def order(item: str) -> int:
    return await price(item)


@workflow
async def waits() -> bool:
    return await approved.receive()


async def stuck(env: TestEnvironment, *args: object, workflow: object = waits) -> str:
    """Return what a test is told that waits for a run."""
    with pytest.raises(StuckTestError) as error:
        await env.client.execute(workflow, id="w-1")(*args)  # type: ignore[call-overload]
    return str(error.value)


async def test_a_hang_names_the_signal_and_the_line() -> None:
    """And once the signal is there, the run goes on as if nothing had been."""
    async with TestEnvironment(workflows=[waits]) as env:
        told = await stuck(env)
        assert told.startswith("nothing can happen any more\n  waits 'w-1' waits at ")
        assert "test_environment_stuck.py" in told
        assert "in waits\n    for signal 'approved'" in told
        handle = env.client.handle("w-1", workflow=waits)
        await handle.signal(approved, True)
        assert await handle.result() is True


async def test_a_hang_names_everything_that_each_run_waits_for() -> None:
    """Activities with their attempt, timers with their time, conditions, and what no event can bring."""
    gate = asyncio.Event()

    @activity
    async def gated() -> None:
        await gate.wait()

    @workflow
    async def busy() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(gated())
            group.create_task(sleep("1 day"))
            group.create_task(wait_condition(lambda: False))

    @workflow
    async def hopeless() -> None:
        await asyncio.Event().wait()

    async with TestEnvironment(workflows=[busy, hopeless], activities=[gated]) as env:
        await env.client.start(busy, id="b-1")()
        told = await stuck(env, workflow=hopeless)
        assert told.startswith("time stands still while a real activity runs, and gated does not end")
        for line in (
            "activity 'gated', attempt 1, which runs",
            "a timer, due at 2024-01-02 00:00:00 UTC",
            "a condition (wait_condition)",
            "something that no event can bring: a future or lock of its own",
        ):
            assert line in told
        gate.set()


async def test_an_activity_that_nobody_knows_fails_the_test() -> None:
    """Once it is faked, the same run goes on."""
    async with TestEnvironment(workflows=[order]) as env:
        told = await stuck(env, "tea", workflow=order)
        assert told == (
            "activity 'price' was called, and is neither registered nor faked: pass it in activities=[...], "
            "or call env.fake(price, ...)"
        )
        env.fake(price, returns=7)
        assert await env.client.handle("w-1").result() == 7


async def test_an_activity_that_nobody_knows_fails_advance_as_well() -> None:
    """Also where no result is waited for."""
    async with TestEnvironment(workflows=[order]) as env:
        await env.client.start(order)("tea")
        with pytest.raises(StuckTestError, match="neither registered nor faked"):
            await env.advance("1 day")


async def test_an_activity_may_miss_its_worker_if_it_has_a_limit_for_that() -> None:
    """Then a test can reach the limit."""

    @workflow
    async def flow() -> str:
        try:
            await proxy(price, queue="nowhere", queue_timeout="1 h")("tea")
        except ActivityTimeoutError as error:
            return error.kind
        return "priced"

    async with TestEnvironment(workflows=[flow], activities=[price], queues=["default"]) as env:
        assert await env.client.execute(flow)() == "queue"
    async with TestEnvironment(workflows=[flow]) as env:
        assert await env.client.execute(flow)() == "queue"


async def test_a_stuck_run_tells_whoever_waits_for_it() -> None:
    """At once, with the reason; its record says it as well."""

    @workflow
    async def unsound() -> int:
        return await price("tea") if env.now.year == 2024 else 0

    async with TestEnvironment(workflows=[unsound], activities=[price], cache_runs=0) as env:
        env.fake(price, returns=1, takes="1 h")
        handle = await env.client.start(unsound, id="u-1")()
        await env.settle()
        env.set_time(env.now.replace(year=2030))
        with pytest.raises(StuckTestError, match=r"(?s)'u-1' is stuck: NonDeterminismError.*activity 'price'"):
            await handle.result()
        assert "NonDeterminismError" in ((await handle.describe()).stuck or "")


async def test_an_unknown_workflow_is_told_to_whoever_waits() -> None:
    """It is missing in `workflows`."""
    async with TestEnvironment(workflows=[order]) as env:
        assert "no workflow 'waits' is registered" in await stuck(env)


async def test_arguments_that_do_not_fit_are_told() -> None:
    """A task that cannot begin would be tried again for ever."""

    @workflow
    async def flow() -> int:
        return await proxy("price", returns=int)(["not", "text"])

    async with TestEnvironment(workflows=[flow], activities=[price]) as env:
        assert "activity price cannot begin: DecodeError: argument 'item'" in await stuck(env, workflow=flow)


async def test_a_run_that_sleeps_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time would skip without end."""
    monkeypatch.setattr("durable.testing._environment_time.JUMPS_MAX", 50)

    @workflow
    async def forever() -> None:
        while True:
            await sleep("1 day")

    async with TestEnvironment(workflows=[forever]) as env:
        assert "does a workflow sleep in a loop without end?" in await stuck(env, workflow=forever)


async def test_something_real_may_still_bring_it() -> None:
    """While the loop has a timer or I/O of the test's own, nobody gives up before the patience is over."""
    async with TestEnvironment(workflows=[waits]) as env:
        handle = await env.client.start(waits)()
        result = asyncio.create_task(handle.result())
        timer = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, timer.set)
        await timer.wait()
        assert not result.done()
        await handle.signal(approved, True)
        assert await result is True
    async with TestEnvironment(workflows=[waits], patience=0.05) as env:
        async with asyncio.timeout(20):
            with pytest.raises(StuckTestError, match="signal 'approved'"):
                await env.client.execute(waits)()


async def test_a_failed_run_is_no_hang() -> None:
    """It raises as in production."""
    async with TestEnvironment(workflows=[order], activities=[price]) as env:
        env.fake(price, raises=ValueError("no such item"))
        with pytest.raises(RunFailedError, match="no such item"):
            await env.client.execute(order)("tea")
        assert env.now.year == 2024
        assert env.calls(price)[-1].at - env.calls(price)[0].at > timedelta(minutes=1)
