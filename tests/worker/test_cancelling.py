"""A running activity that its workflow cancels: how it is told, and what becomes of its end."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from durable import activity, activity_info, heartbeat, proxy, workflow
from durable.errors import RunCancelledError
from tests.virtual import in_virtual_time
from tests.worker.cpu import until_cancelled
from tests.worker.harness import connected, history_types, serving, until, until_event, until_queued, working

NO_RENEWALS = "1 hour"  # the lease's time to live: a fifth of it is when the first renewal would come


def waiting(act: Any, *args: Any, kind: str = "wait", queue: str | None = None) -> Any:
    """Return a workflow that says how its activity ended."""

    @workflow
    async def run_it() -> str:
        try:
            return f"got {await proxy(act, cancellation=kind, queue=queue)(*args)}"  # type: ignore[call-overload]
        except asyncio.CancelledError:
            return "cancelled"

    return run_it


class Slow:
    """An activity that tells when it begins and ends, and runs until it is told to stop. Its cleanup waits if it is `careful`."""

    def __init__(self, *, careful: bool = True) -> None:
        self.careful = careful
        self.began, self.ended, self.release = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.seen: list[str] = []

    @activity
    async def work(self) -> str:
        self.began.set()
        try:
            await self.release.wait()
            return "done"
        except asyncio.CancelledError:
            if self.careful:
                await self.release.wait()
            self.seen.append(f"cleaned up, {activity_info().cancelled}")
            raise
        finally:
            self.ended.set()


@in_virtual_time
async def test_the_end_is_waited_for_with_its_cleanup() -> None:
    """In the process of the engine the attempt is told at once, without a renewal of its claim."""
    slow = Slow()
    run_it = waiting(slow.work)
    async with serving(workflows=[run_it], activities=[slow], lease_ttl=NO_RENEWALS) as client:
        handle = await client.start(run_it, id="w")()
        await slow.began.wait()
        await handle.cancel()
        await until_event(client, "w", "ActivityCancelRequested")
        assert (await handle.describe()).status == "running"
        slow.release.set()
        assert await handle.result(timeout="10 min") == "cancelled"
        assert slow.seen == ["cleaned up, True"]
        assert (await history_types(client, "w"))[-2:] == ["ActivityCancelled", "RunCompleted"]
        assert (await client.store.inspect.counts())["tasks"] == 0


@in_virtual_time
async def test_trying_does_not_wait_and_tells_at_once_as_well() -> None:
    """The wait ends although the attempt is still cleaning up; what it gives then is dropped."""
    slow = Slow()
    run_it = waiting(slow.work, kind="try")
    async with serving(workflows=[run_it], activities=[slow], lease_ttl=NO_RENEWALS) as client:
        handle = await client.start(run_it)()
        await slow.began.wait()
        await handle.cancel()
        assert await handle.result(timeout="10 min") == "cancelled"
        slow.release.set()
        await slow.ended.wait()
        assert slow.seen == ["cleaned up, True"]


@in_virtual_time
async def test_an_abandoned_attempt_is_not_told() -> None:
    """It runs to its end, also after the run has closed."""
    slow = Slow()
    run_it = waiting(slow.work, kind="abandon")
    async with serving(workflows=[run_it], activities=[slow]) as client:
        handle = await client.start(run_it)()
        await slow.began.wait()
        await handle.cancel()
        assert await handle.result(timeout="10 min") == "cancelled"
        assert not slow.ended.is_set()
        slow.release.set()
        await slow.ended.wait()
        assert slow.seen == []


@in_virtual_time
async def test_a_result_of_code_that_does_not_listen_is_taken() -> None:
    """It was told, and finished all the same."""
    began, told = asyncio.Event(), asyncio.Event()

    @activity
    async def deaf() -> str:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.set()
        return "finished"

    run_it = waiting(deaf)
    async with serving(workflows=[run_it], activities=[deaf]) as client:
        handle = await client.start(run_it)()
        await began.wait()
        await handle.cancel()
        assert await handle.result(timeout="10 min") == "got finished"
        assert told.is_set()


@pytest.mark.parametrize("kind", ["wait", "try"])
@in_virtual_time
async def test_a_worker_elsewhere_learns_it_by_renewing_its_claim(kind: str) -> None:
    """It need not send heartbeats, and its attempt may be a new one: each renewal names all claims."""
    slow = Slow(careful=False)
    run_it = waiting(slow.work, kind=kind, queue="far")
    async with connected("memory:") as client:
        there = working(client, activities=[slow], queue="far", lease_ttl="1 min")
        async with working(client, workflows=[run_it]), there:
            handle = await client.start(run_it)()
            await slow.began.wait()
            await handle.cancel()
            assert await handle.result(timeout="10 min") == "cancelled"
            await slow.ended.wait()
            assert slow.seen == ["cleaned up, True"]


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6, 0.999])
@in_virtual_time
async def test_a_worker_elsewhere_learns_it_within_a_second(after_s: float) -> None:
    """With the settings that a worker has by default and no heartbeat, wherever between two renewals the request comes."""
    slow = Slow(careful=False)
    run_it = waiting(slow.work, queue="far")
    async with connected("memory:") as client:
        clock = client.store.clock
        async with working(client, workflows=[run_it]), working(client, activities=[slow], queue="far"):
            handle = await client.start(run_it)()
            await slow.began.wait()
            await clock.sleep(10 + after_s)
            asked_s = clock.monotonic()
            await handle.cancel()
            await slow.ended.wait()
            assert clock.monotonic() - asked_s <= 1.001
            assert await handle.result() == "cancelled"


async def test_a_thread_is_told_by_its_next_heartbeat() -> None:
    """And by `activity_info().cancelled`."""
    began, told = threading.Event(), threading.Event()

    @activity
    def in_thread() -> str:
        began.set()
        while not activity_info().cancelled:
            told.wait(0.001)
        heartbeat()
        return "not reached"

    run_it = waiting(in_thread)
    async with serving(workflows=[run_it], activities=[in_thread], lease_ttl=NO_RENEWALS) as client:
        handle = await client.start(run_it)()
        await until(began.is_set)
        await handle.cancel()
        assert await handle.result(timeout="10 min") == "cancelled"


async def test_a_process_is_told_by_its_next_heartbeat(tmp_path: Path) -> None:
    """And its child goes on serving."""
    run_it = waiting(until_cancelled, tmp_path)
    async with serving(workflows=[run_it], activities=[until_cancelled]) as client:
        handle = await client.start(run_it)()
        await until(lambda: any(tmp_path.iterdir()))
        await handle.cancel()
        assert await handle.result(timeout=20) == "cancelled"


@in_virtual_time
async def test_a_task_without_a_worker_ends_by_itself() -> None:
    """Nobody could ever report its end."""
    slow = Slow()
    run_it = waiting(slow.work, queue="nobody")
    async with serving(workflows=[run_it]) as client:
        handle = await client.start(run_it)()
        await until_queued(client)
        await handle.cancel()
        assert await handle.result(timeout="10 min") == "cancelled"
        counts = await client.store.inspect.counts()
        assert (counts["tasks"], counts["dues"]) == (0, 0)


@in_virtual_time
async def test_a_marked_task_is_not_begun() -> None:
    """A worker that claims it after the mark reports its end without running it."""
    slow = Slow()
    run_it = waiting(slow.work, queue="later")
    async with serving(workflows=[run_it]) as client:
        handle = await client.start(run_it, id="w")()
        await until_queued(client)
        async with asyncio.TaskGroup() as group:
            group.create_task(handle.cancel())
            async with working(client, activities=[slow], queue="later"):
                slow.release.set()
                result = await handle.result(timeout="10 min")
        assert result in ("cancelled", "got done")
        assert slow.seen == []


@in_virtual_time
async def test_a_holder_that_dies_ends_the_wait() -> None:
    """The task is free then, and nobody begins it any more."""
    slow = Slow()
    run_it = waiting(slow.work, queue="far")
    async with connected("memory:") as client, working(client, workflows=[run_it]):
        async with working(client, activities=[slow], queue="far", grace=0.01):
            handle = await client.start(run_it)()
            await slow.began.wait()
            await handle.cancel()
            waited = asyncio.ensure_future(handle.result(timeout="10 min"))
            await asyncio.sleep(0)
        slow.release.set()
        assert await waited == "cancelled"


@in_virtual_time
async def test_cancel_can_wait_for_the_end() -> None:
    """It returns when the run is closed, however it ended, or raises after its time."""
    slow = Slow()

    @workflow
    async def run_it() -> None:
        await proxy(slow.work, cancellation="wait")()

    async with serving(workflows=[run_it], activities=[slow]) as client:
        handle = await client.start(run_it)()
        await slow.began.wait()
        with pytest.raises(TimeoutError, match=r"has not ended within 60 s; it goes on"):
            await handle.cancel(wait=True, timeout="1 min")
        slow.release.set()
        await handle.cancel("again", wait=True, timeout=10)
        assert (await handle.describe()).status == "cancelled"
        with pytest.raises(RunCancelledError):
            await handle.result()


@in_virtual_time
async def test_a_time_to_wait_needs_the_wait() -> None:
    """Else it would be passed over in silence."""
    async with connected("memory:") as client:
        with pytest.raises(TypeError, match="pass wait=True"):
            await client.handle("w").cancel(timeout=5)
