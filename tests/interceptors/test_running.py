"""Activities with interceptors around them: time limits, cancellation, processes that die, workers that stop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable import Client, Interceptor, RetryPolicy, Worker, activity, activity_info, errors, heartbeat, workflow
from durable.interceptors import RunActivityInput

ONCE = RetryPolicy(max_attempts=1)
gate = threading.Event()
begun = threading.Event()


@activity(retry=ONCE, timeout="200 ms")
def slow_thread() -> str:
    gate.wait(20)
    return "late"


@activity
def hangs() -> str:
    begun.set()
    gate.wait(20)
    return "late"


@activity(retry=ONCE, timeout="200 ms")
async def slow_async() -> str:
    await asyncio.Event().wait()
    return "never"


@activity(retry=ONCE, cpu_bound=True)
def dies() -> str:
    os._exit(3)


@activity(retry=ONCE, cpu_bound=True)
def beats() -> int:
    heartbeat({"at": 3})
    return os.getpid()


@activity(retry=RetryPolicy(max_attempts=2, initial_interval="10 ms"))
def resumes() -> Any:
    if activity_info().attempt == 1:
        heartbeat("half")
        raise ConnectionError("once more")
    return activity_info().details()


@activity
async def patient() -> str:
    begun.set()
    await asyncio.Event().wait()
    return "never"


ACTIVITIES: dict[str, Any] = {
    each.name: each for each in (slow_thread, hangs, slow_async, dies, beats, resumes, patient)
}


@workflow
async def calling(name: str) -> Any:
    try:
        return await ACTIVITIES[name]()
    except errors.ActivityTimeoutError as error:
        return f"out of time: {error.kind}"
    except errors.ActivityError as error:
        return str(error.__cause__)


@workflow
async def giving_up() -> str:
    try:
        async with asyncio.timeout(1):
            await patient()
    except TimeoutError:
        return "gave up"
    return "no"


class Watching(Interceptor):
    """Notes how each attempt ends."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        try:
            result = await next(input)
        except BaseException as error:
            self.log.append(f"{input.activity} {type(error).__name__}")
            raise
        self.log.append(f"{input.activity} {result}")
        return result


@asynccontextmanager
async def working(tmp_path: Path, *around: Interceptor, **options: Any) -> AsyncIterator[Client]:
    async with (
        Client.connect(f"sqlite:///{tmp_path}/run.db", interceptors=around) as client,
        Worker(client, workflows=[calling, giving_up], activities=ACTIVITIES.values(), **options),
    ):
        yield client


async def test_a_thread_that_is_too_slow_times_out_as_without(tmp_path: Path) -> None:
    """Its slot is free once it has ended, and what it gives is dropped."""
    gate.clear()
    around = Watching()
    async with working(tmp_path, around, max_threads=1) as client:
        assert await client.execute(calling, id="a")("slow_thread") == "out of time: attempt"
        assert around.log == []
        gate.set()
        assert await client.execute(calling, id="b")("resumes") == "half"
        assert around.log == ["slow_thread late", "resumes ConnectionError", "resumes half"]


async def test_an_async_one_that_is_too_slow_is_cancelled_with_its_interceptors(tmp_path: Path) -> None:
    """They see the cancellation."""
    around = Watching()
    async with working(tmp_path, around) as client:
        assert await client.execute(calling, id="a")("slow_async") == "out of time: attempt"
    assert around.log == ["slow_async CancelledError"]


async def test_a_process_that_dies_fails_its_attempt(tmp_path: Path) -> None:
    """And one that lives is heard."""
    around = Watching()
    async with working(tmp_path, around) as client:
        assert "exit code 3" in await client.execute(calling, id="a")("dies")
        assert await client.execute(calling, id="b")("beats") != os.getpid()
    assert around.log[0] == "dies ChildProcessError"


async def test_an_activity_that_is_not_wanted_any_more_is_cancelled_with_its_interceptors(tmp_path: Path) -> None:
    """Its run has given it up."""
    begun.clear()
    around = Watching()
    async with working(tmp_path, around) as client:
        assert await client.execute(giving_up, id="a")() == "gave up"
        assert begun.is_set()
    assert around.log == ["patient CancelledError"]


async def test_a_worker_that_stops_leaves_a_thread_alone_and_ends_what_is_around_it(tmp_path: Path) -> None:
    """The claim is handed back, so another worker may take it up."""
    gate.clear()
    begun.clear()
    around = Watching()
    async with working(tmp_path, around, grace=0.05) as client:
        await client.start(calling, id="a")("hangs")
        assert await asyncio.to_thread(begun.wait, 20)
    gate.set()
    await asyncio.sleep(0)
    assert around.log == ["hangs CancelledError"]
    async with working(tmp_path, around) as client:
        assert await client.handle("a").result() == "late"


class Forgetting(Interceptor):
    """Does not call the activity, or hides its failure."""

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:
        if input.activity == "resumes":
            return "not called"
        try:
            return await next(input)
        except ChildProcessError:
            return "hidden"


@pytest.mark.parametrize(("name", "result"), [("resumes", "not called"), ("dies", "hidden")])
async def test_what_the_interceptor_returns_is_the_result(name: str, result: str, tmp_path: Path) -> None:
    """Also where the activity was not called, or failed."""
    async with working(tmp_path, Forgetting()) as client:
        assert await client.execute(calling, id="a")(name) == result
