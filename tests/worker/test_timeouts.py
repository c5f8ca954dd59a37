"""The time limits that a worker enforces: of an attempt, and between two heartbeats."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from durable import RetryPolicy, activity, activity_info, heartbeat, local, proxy, workflow
from durable.errors import ActivityTimeoutError
from durable.testing._clock import ManualClock
from durable.worker import _time_limits
from tests.virtual import in_virtual_time
from tests.worker.cpu import hang
from tests.worker.harness import serving, until

ONCE = RetryPolicy(max_attempts=1)
AT_ONCE = RetryPolicy(initial_interval=0.001, maximum_interval=0.001)


@in_virtual_time
async def test_an_async_attempt_is_cancelled_when_its_time_is_up() -> None:
    """It may clean up before the timeout is reported; then the workflow sees which limit it was."""
    cleaned = False

    @activity(timeout="20 s", retry=ONCE)
    async def wait() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned = True

    @workflow
    async def run_it() -> list[object]:
        try:
            await wait()
        except ActivityTimeoutError as error:
            return [error.kind, str(error.__cause__)]
        return []

    async with serving(workflows=[run_it], activities=[wait]) as client:
        assert await client.execute(run_it)() == ["attempt", "no result within 20 s"]
    assert cleaned


@in_virtual_time
async def test_a_result_that_comes_in_time_is_kept() -> None:
    """A limit costs nothing when it is not reached."""

    @activity(timeout="1 min", heartbeat_timeout="1 min")
    async def quick() -> str:
        return "done"

    @workflow
    async def run_it() -> str:
        return await quick()

    async with serving(workflows=[run_it], activities=[quick]) as client:
        assert await client.execute(run_it)() == "done"


@in_virtual_time
async def test_an_attempt_that_ignores_its_cancellation_is_left_alone() -> None:
    """The timeout is reported after a moment of patience, and what the code gives later is dropped."""
    finish = asyncio.Event()

    @activity(timeout="10 s", retry=AT_ONCE)
    async def stubborn() -> str:
        if activity_info().attempt > 1:
            return "second"
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return "first"

    @workflow
    async def run_it() -> str:
        return await stubborn()

    async with serving(workflows=[run_it], activities=[stubborn]) as client:
        assert await client.execute(run_it)() == "second"
        finish.set()


async def test_a_thread_is_told_and_its_attempt_reported_at_once() -> None:
    """Its slot is free only when it ends: a thread cannot be stopped."""
    clock, began, release, told = ManualClock(), threading.Event(), threading.Event(), threading.Event()

    @activity(timeout="1 s", retry=ONCE)
    def block() -> None:
        began.set()
        release.wait(20)
        try:
            heartbeat()
        except asyncio.CancelledError:
            told.set()
            raise

    @workflow
    async def run_it() -> str:
        try:
            await block()
        except ActivityTimeoutError as error:
            return error.kind
        return ""

    async with serving(workflows=[run_it], activities=[block], max_threads=1, clock=clock) as client:
        running = asyncio.ensure_future(client.execute(run_it)())
        await until(began.is_set)
        clock.advance("1 s")
        assert await running == "attempt"
        assert not told.is_set()
        release.set()
        await until(told.is_set)


async def test_a_process_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    """Another child takes its place."""
    marker = tmp_path / "pid"

    @workflow
    async def run_it() -> int:
        return int(await proxy(hang, retry=AT_ONCE)(marker))

    async with serving(workflows=[run_it], activities=[hang], max_processes=1) as client:
        second = await client.execute(run_it)()
    assert second != int(marker.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


@in_virtual_time
async def test_silence_is_noticed_and_heartbeats_keep_an_attempt_alive() -> None:
    """The limit counts from the last heartbeat, not from the start."""
    beats = 0

    @activity(heartbeat_timeout="10 s", retry=ONCE)
    async def fall_silent() -> None:
        nonlocal beats
        for _ in range(8):  # longer than the limit, all in all
            heartbeat(beats)
            beats += 1
            await asyncio.sleep(3)
        await asyncio.Event().wait()

    @workflow
    async def run_it() -> str:
        try:
            await fall_silent()
        except ActivityTimeoutError as error:
            return error.kind
        return ""

    async with serving(workflows=[run_it], activities=[fall_silent]) as client:
        assert await client.execute(run_it)() == "heartbeat"
    assert beats == 8


@pytest.mark.parametrize("declared", [True, False])
@in_virtual_time
async def test_a_local_activity_has_its_time_limit_too(declared: bool) -> None:
    """It runs in the same way, without a task. The limit is the activity's, or that of the call."""

    async def wait() -> None:
        await asyncio.Event().wait()

    waiting = activity(timeout="10 s" if declared else None, retry=ONCE)(wait)
    call = local(waiting) if declared else local(waiting, timeout="10 s")

    @workflow
    async def run_it() -> str:
        try:
            await call()
        except Exception as error:
            return type(error.__cause__).__name__
        return ""

    async with serving(workflows=[run_it], activities=[waiting]) as client:
        assert await client.execute(run_it)() == "TimeoutError"


async def test_a_thread_that_goes_on_after_its_time_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """It keeps its slot: with enough of them the worker runs no more activities in threads, which nobody could explain."""
    clock, began, release = ManualClock(), threading.Event(), threading.Event()

    @activity(timeout="1 s", retry=ONCE)
    def block() -> None:
        began.set()
        release.wait(20)

    @workflow
    async def run_it() -> str:
        try:
            await block()
        except ActivityTimeoutError as error:
            return error.kind
        return ""

    async with serving(workflows=[run_it], activities=[block], max_threads=1, clock=clock) as client:
        running = asyncio.ensure_future(client.execute(run_it)())
        await until(began.is_set)
        clock.advance("1 s")
        assert await running == "attempt"
        assert "keeps its slot" not in caplog.text
        clock.advance(_time_limits.PATIENCE_S)
        await until(lambda: "keeps its slot" in caplog.text)
        assert "activity block" in caplog.text
        release.set()
