"""What an activity says by `heartbeat` reaches the store, the next attempt, and tells it when to stop."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from durable import Client, RetryPolicy, activity, activity_info, heartbeat, proxy, workflow
from durable._log import session_groups
from durable.errors import DecodeError, EncodeError, InvalidCallError
from tests.virtual import in_virtual_time
from tests.worker.cpu import count_up, until_cancelled
from tests.worker.harness import connected, serving, until, working

AT_ONCE = RetryPolicy(initial_interval=0.001, maximum_interval=0.001)


def tell_in_turn() -> list[Any]:
    """Say something in the first attempt, nothing in the second, and return what the third one reads."""
    info = activity_info()
    if info.attempt == 1:
        assert info.details() is None
        for number in range(50):
            heartbeat({"page": number})
        heartbeat()  # says nothing new: the details stay
    if info.attempt == 2:
        raise ValueError("fails before it says anything: what was said before still holds")
    if info.attempt == 3:
        return [info.details(), info.details(dict[str, float])]
    raise ValueError("fails")


@workflow
async def crawl_all() -> list[Any]:
    return list(await proxy("crawl", retry=AT_ONCE)())


@in_virtual_time
async def test_the_next_attempt_reads_what_the_last_one_said() -> None:
    """The last details of all, however many there were, and however it ended."""

    @activity
    async def crawl() -> list[Any]:
        return tell_in_turn()

    async with serving(workflows=[crawl_all], activities=[crawl]) as client:
        assert await client.execute(crawl_all)() == [{"page": 49}, {"page": 49.0}]


async def test_what_a_thread_has_said_is_read_by_the_next_attempt() -> None:
    """In the same way."""

    @activity
    def crawl() -> list[Any]:
        return tell_in_turn()

    async with serving(workflows=[crawl_all], activities=[crawl]) as client:
        assert await client.execute(crawl_all)() == [{"page": 49}, {"page": 49.0}]


async def test_details_cross_processes() -> None:
    """A child reads what an earlier one said."""

    @workflow
    async def run_it() -> list[Any]:
        return list(await proxy(count_up, retry=AT_ONCE)(Path("unused")))

    async with serving(workflows=[run_it], activities=[count_up]) as client:
        assert await client.execute(run_it)() == [99]


@in_virtual_time
async def test_details_survive_a_worker_that_vanishes() -> None:
    """They are in the store while the attempt runs: the first at once, the last after a pause at most."""
    said_both, released = asyncio.Event(), asyncio.Event()

    @activity(heartbeat_timeout="3 s")
    async def crawl() -> Any:
        info = activity_info()
        if info.delivery > 1:
            return [info.attempt, info.delivery, info.details()]
        heartbeat("first")
        heartbeat("second")
        said_both.set()
        while not released.is_set():
            heartbeat()
            await asyncio.sleep(1)
        return "the result of a worker that was thought dead"

    @workflow
    async def run_it() -> Any:
        return await crawl()

    async with connected("memory:") as client, working(client, workflows=[run_it]):
        first = working(client, activities=[crawl])
        async with first:
            handle = await client.start(run_it)()
            await said_both.wait()
            await until(lambda: _details_of_all_tasks(client) == [b'"second"'])
            assert first._life is not None
            # As if its session had expired: the claim is free for others, and the first worker does not know yet.
            await client.store.end_session(first._life.session)
            async with working(client, activities=[crawl]):
                assert await handle.result(timeout=20) == [1, 2, "second"]
            released.set()


def _details_of_all_tasks(client: Client) -> list[bytes | None]:
    return [row.details for row in client.store._state.tasks.values()]  # type: ignore[attr-defined]


@in_virtual_time
async def test_a_heartbeat_stops_code_whose_claim_is_lost() -> None:
    """The renewal finds it out; an async activity is cancelled as well. Its result is dropped."""
    started, ended = asyncio.Event(), asyncio.Event()

    @activity
    async def work() -> str:
        if activity_info().delivery > 1:
            return "second delivery"
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(asyncio.CancelledError):
                heartbeat()
            assert activity_info().cancelled
            ended.set()
        return "first delivery"

    @workflow
    async def run_it() -> str:
        return await work()

    async with connected("memory:") as client, working(client, workflows=[run_it]):
        first = working(client, activities=[work], lease_ttl="20 s")
        async with first:
            handle = await client.start(run_it)()
            await started.wait()
            assert first._life is not None
            await client.store.begin_session("thief", session_groups("default")[1], b"", 60_000)
            (task,) = client.store._state.tasks.values()  # type: ignore[attr-defined]
            client.store._state.set_owner(task, "thief")  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                await ended.wait()
            await client.store.end_session("thief")
            assert await handle.result(timeout=20) == "second delivery"


async def test_a_child_is_told_that_its_result_is_no_longer_wanted(tmp_path: Path) -> None:
    """Its next heartbeat raises `CancelledError`: here because the worker stops."""

    @workflow
    async def run_it() -> None:
        await until_cancelled(tmp_path)

    async with serving(workflows=[run_it], activities=[until_cancelled], grace=0) as client:
        await client.start(run_it, id="r")()
        await until((tmp_path / "started").exists)
    assert (tmp_path / "cancelled").exists()


@in_virtual_time
async def test_details_that_cannot_be_written_are_refused_at_the_call() -> None:
    """Before anything is recorded; details that do not fit the asked type are refused when read."""
    caught: list[BaseException] = []

    @activity
    async def work() -> None:
        info = activity_info()
        if info.attempt == 1:
            with pytest.raises(EncodeError, match="heartbeat details"):
                heartbeat(object())
            heartbeat("text")
            raise ValueError
        try:
            info.details(int)
        except DecodeError as error:
            caught.append(error)

    @workflow
    async def run_it() -> None:
        await work()

    async with serving(workflows=[run_it], activities=[work]) as client:
        await client.execute(run_it)()
    assert "heartbeat details of activity work" in str(caught[0])


@in_virtual_time
async def test_a_heartbeat_in_a_plain_call_does_nothing() -> None:
    """So that an activity can be tested as the function it is."""

    @activity
    async def work() -> str:
        heartbeat("ignored")
        return "done"

    assert await work() == "done"


@in_virtual_time
async def test_a_heartbeat_in_workflow_code_is_refused() -> None:
    """It belongs into activities."""

    @workflow
    async def run_it() -> str:
        try:
            heartbeat()
        except InvalidCallError as error:
            return str(error)
        return ""

    async with serving(workflows=[run_it]) as client:
        assert "only in an activity" in await client.execute(run_it)()
