"""`ActivityEnvironment` runs one activity as a worker would, without one."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable import activity, activity_info, heartbeat
from durable.errors import DefinitionError, EncodeError, InvalidCallError
from durable.testing import ActivityEnvironment


@activity(timeout="1 h", heartbeat_timeout="10 s")
async def copy(pieces: int) -> list[int]:
    done = []
    for piece in range(activity_info().details(int) or 0, pieces):
        heartbeat(piece + 1)
        await asyncio.sleep(0)
        done.append(piece)
    return done


@activity
def scan(path: str) -> str:
    for line in range(5):
        heartbeat(f"{path}:{line}")
    return path.upper()


class Shop:
    """Has methods that are activities."""

    def __init__(self, name: str) -> None:
        self.name = name

    @activity
    async def ship(self, order: str) -> str:
        return f"{order} from {self.name}, {activity_info().idempotency_key}"

    @activity
    def count(self) -> int:
        return len(self.name)


async def test_an_async_activity_runs_and_its_heartbeats_are_kept() -> None:
    """In order."""
    env = ActivityEnvironment()
    assert await env.run(copy, 3) == [0, 1, 2]
    assert env.heartbeats == [1, 2, 3]


def test_a_plain_activity_runs_in_place() -> None:
    """No loop is needed."""
    env = ActivityEnvironment()
    assert env.run(scan, path="a") == "A"
    assert env.heartbeats == [f"a:{line}" for line in range(5)]


async def test_an_activity_goes_on_from_what_an_earlier_attempt_said() -> None:
    """`details` is what that was."""
    env = ActivityEnvironment(attempt=2, details=2)
    assert await env.run(copy, 4) == [2, 3]


async def test_methods_run_on_their_instance() -> None:
    """`async def` or `def`."""
    shop, env = Shop("here"), ActivityEnvironment(idempotency_key="k-1")
    assert await env.run(shop.ship, "o-1") == "o-1 from here, k-1"
    assert env.run(shop.count) == 4


def test_the_activity_finds_the_information_that_was_given() -> None:
    """Limits are its own unless others are given."""
    found: list[Any] = []

    @activity(timeout="1 min")
    def look() -> None:
        found.append(activity_info())

    when = datetime(2030, 1, 1, tzinfo=UTC)
    ActivityEnvironment(
        attempt=3, delivery=2, workflow="checkout", workflow_id="o-1", run_id="r-1", queue="q", scheduled_at=when
    ).run(look)
    ActivityEnvironment(timeout="2 min", heartbeat_timeout=5).run(look)
    first, second = found
    assert (first.activity, first.attempt, first.delivery, first.workflow, first.workflow_id, first.run_id, first.queue) == (
        look.name, 3, 2, "checkout", "o-1", "r-1", "q",
    )  # fmt: skip
    assert (first.scheduled_at, first.started_at, first.timeout, first.heartbeat_timeout) == (
        when, when, timedelta(minutes=1), None,
    )  # fmt: skip
    assert (second.timeout, second.heartbeat_timeout) == (timedelta(minutes=2), timedelta(seconds=5))


async def test_cancel_reaches_the_await_of_an_async_activity() -> None:
    """Which may clean up."""
    cleaned: list[bool] = []

    @activity
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(activity_info().cancelled)

    env = ActivityEnvironment()
    running = asyncio.ensure_future(env.run(wait))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    env.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == [True]
    assert await ActivityEnvironment().run(copy, 1) == [0]


def test_cancel_reaches_a_plain_activity_by_its_heartbeat() -> None:
    """From the callback of one, or from another thread; the next run is not cancelled."""
    env = ActivityEnvironment()
    env.on_heartbeat = lambda details: env.cancel() if details == "a:2" else None
    with pytest.raises(asyncio.CancelledError):
        env.run(scan, "a")
    assert env.heartbeats == ["a:0", "a:1", "a:2"]
    assert env.run(scan, "b") == "B"

    def from_elsewhere(_details: object) -> None:
        thread = threading.Thread(target=env.cancel)
        thread.start()
        thread.join()

    env.on_heartbeat = from_elsewhere
    with pytest.raises(asyncio.CancelledError):
        env.run(scan, "c")


async def test_a_cancel_before_the_run_counts_for_it() -> None:
    """An `async def` does not even begin."""
    env = ActivityEnvironment()
    env.cancel()
    with pytest.raises(asyncio.CancelledError):
        await env.run(copy, 3)
    assert env.heartbeats == []
    assert await env.run(copy, 1) == [0]


async def test_an_activity_that_is_waited_for_no_more_is_cancelled() -> None:
    """With the test that runs it."""
    env, cancelled = ActivityEnvironment(), asyncio.Event()

    @activity
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await env.run(wait)
    assert cancelled.is_set()


def test_what_could_not_be_stored_is_refused() -> None:
    """Arguments, results and details, as in production."""

    @activity
    def wrong() -> int:
        return "text"  # type: ignore[return-value]

    env = ActivityEnvironment()
    with pytest.raises(EncodeError, match="argument 'path'"):
        env.run(scan, object())  # type: ignore[arg-type]
    with pytest.raises(InvalidCallError, match="missing"):
        env.run(scan)  # type: ignore[call-arg]
    with pytest.raises(EncodeError, match="the result of activity"):
        env.run(wrong)
    with pytest.raises(EncodeError, match="the details of an earlier attempt"):
        ActivityEnvironment(details=object()).run(scan, "a")


def test_only_activities_run() -> None:
    """And methods on an instance."""
    with pytest.raises(DefinitionError, match="decorated with @activity"):
        ActivityEnvironment().run(len, "a")
    with pytest.raises(DefinitionError, match="that of an instance"):
        ActivityEnvironment().run(Shop.count)


def test_nothing_of_the_activity_stays_in_the_test() -> None:
    """`activity_info` works inside only."""
    ActivityEnvironment().run(scan, "a")
    with pytest.raises(InvalidCallError):
        activity_info()
