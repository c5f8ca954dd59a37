"""Queries: on a run in memory, one that is replayed for them, and one that is closed; they only read."""

import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable._runtime import guard
from durable.author import Query, Signal, activity, workflow
from durable.errors import DefinitionError, RequestFailedError, RequestTimeoutError
from durable.testing import assert_replays
from tests.engine.env import engines
from tests.engine.harness import SteppedRun

seen = Query("seen", list[int])
number = Signal("number", int)
go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


@workflow
async def collects() -> int:
    got: list[int] = []

    @seen.handler
    def tell() -> list[int]:
        return got

    @Query("later").handler
    def later() -> Any:
        return work(1)

    @Query.dynamic
    def anything(name: str, args: list[Any]) -> list[Any]:
        return [name, *args, len(got)]

    while (n := await number.receive()) > 0:
        got.append(n)
    return len(got)


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_a_query_is_answered_from_memory_from_a_replay_and_after_the_end(cache_runs: int | None) -> None:
    """On the worker that has the run, on one that replays it, and by the last run of an id as by an earlier one."""
    async with engines(partitions=1) as env:
        first = await env.begin([collects], cache_runs=cache_runs)
        handle = await env.client.start(collects, id="a")()
        await handle.signal(number, 5)
        assert await env.drive(handle.query(seen)) == [5]
        await env.kill(first)
        await env.begin([collects], cache_runs=cache_runs)
        assert await env.drive(handle.query(seen)) == [5]
        await handle.signal(number, 0)
        assert await env.drive(handle.result()) == 1
        again = await env.client.start(collects, id="a")()
        await env.settle()
        before = await env.history("a")
        assert await env.drive(handle.query(seen)) == [5]
        assert await env.drive(again.query(seen)) == []
        assert await env.history("a") == before


async def test_a_query_sees_what_was_sent_before_it() -> None:
    """Messages of one client are read in their order, and queries last."""
    async with engines(partitions=1) as env:
        await env.begin([collects])
        handle = await env.client.start(collects, id="a")()
        for n in range(1, 6):
            await handle.signal(number, n)
        assert await env.drive(handle.query(seen)) == [1, 2, 3, 4, 5]


async def test_an_unknown_query_goes_to_the_dynamic_handler() -> None:
    """With its name and arguments as JSON data."""
    run = SteppedRun(collects).start()
    run.signal(number, 5)
    assert run.answer("whatever", 1, "x") == ["whatever", 1, "x", 1]
    assert run.reload().answer("whatever") == ["whatever", 1]


async def test_a_query_that_would_await_is_an_error() -> None:
    """A plain def that hands back an awaitable has commanded something, or cannot be encoded."""
    run = SteppedRun(collects).start()
    before = list(run.history)
    failure = run.query("later").failure
    assert failure is not None
    assert "the query 'later' is read-only: it cannot start" in failure["message"]
    assert run.history == before
    assert run.answer("seen") == []


READS: dict[str, tuple[Callable[[], object], str]] = {
    "a file": (
        lambda: Path("/etc/hostname").read_text(),
        r"open\('/etc/hostname'\).* read and write files in an activity",
    ),
    "a socket": (lambda: socket.create_connection(("localhost", 1)), "socket.* talk to the network in an activity"),
    "a process": (lambda: subprocess.run(["true"], check=True), "subprocess.Popen.* start processes in an activity"),
    "a database": (lambda: sqlite3.connect(":memory:"), "sqlite3.connect.* use a database in an activity"),
}


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_a_query_that_does_io_is_refused(what: str, cache_runs: int | None) -> None:
    """It would hold up the worker's loop, and all other runs. Whoever asks is told what; the run does not notice."""
    function, says = READS[what]

    @workflow
    async def curious() -> int:
        @Query("look").handler
        def look() -> Any:
            return str(function())

        @seen.handler
        def tell() -> list[int]:
            return [1]

        return await number.receive()

    guard.install()
    async with engines(partitions=1) as env:
        await env.begin([curious], cache_runs=cache_runs)
        handle = await env.client.start(curious, id="c")()
        with pytest.raises(RequestFailedError, match=rf"query 'look' of 'c' failed: .*called {says}"):
            await env.drive(handle.query("look"))
        assert await env.drive(handle.query(seen)) == [1]
        assert await env.stuck("c") is None
        await handle.signal(number, 4)
        assert await env.drive(handle.result()) == 4
        assert_replays(curious, await handle.history())


async def test_an_async_query_handler_is_refused() -> None:
    """Where it is registered."""

    @workflow
    async def wrong() -> None:
        async def tell() -> list[int]:
            return []

        with pytest.raises(DefinitionError, match="a query handler must be a plain def, it cannot await"):
            seen.handler(tell)

    assert SteppedRun(wrong).start().status == "completed"


async def test_nobody_there_is_a_timeout_that_says_so() -> None:
    """The question stays in the inbox, and is dropped with no harm when somebody comes."""
    async with engines(partitions=1) as env:
        handle = await env.client.start(collects, id="a")()
        with pytest.raises(
            RequestTimeoutError, match=r"no worker answered query 'seen' .* within 3 s; is one running for workflow"
        ):
            await env.drive(handle.query(seen, timeout=3))
        await env.begin([collects])
        assert await env.drive(handle.query(seen)) == []


async def test_a_stuck_run_says_why_it_cannot_answer() -> None:
    """At once: nobody waits for the timeout."""
    async with engines(partitions=1) as env:

        @workflow
        async def other() -> None: ...

        await env.begin([other])
        handle = await env.client.start(collects, id="a")()
        with pytest.raises(RequestFailedError, match="the run cannot answer, it is stuck: UnknownWorkflowError"):
            await env.drive(handle.query(seen))
