"""Local activities: short pauses within the step, long ones as timers, and what happens to the run while one runs."""

import asyncio
from typing import Any

import pytest

from durable.author import Signal, activity, local, sleep, workflow
from durable.errors import ActivityError
from durable.history import LocalActivityRetryScheduled
from durable.retry import NO_RETRY, RetryPolicy
from tests.engine.env import Engines, engines
from tests.scenario_store import STORES, scenario_url

LONG = RetryPolicy(initial_interval=60, coefficient=1, jitter=0, max_attempts=4)
SHORT = RetryPolicy(initial_interval=1, coefficient=1, jitter=0, max_attempts=4)
go = Signal("go", int)


class Shaky:
    """Fails as often as it is told to, then returns its argument. `held` keeps it running until it is set."""

    def __init__(self, fails: int = 0, *, retry: RetryPolicy = LONG, held: bool = False, **options: Any) -> None:
        self.fails, self.calls, self.told = fails, 0, 0
        self.release = asyncio.Event()
        if not held:
            self.release.set()

        @activity(name="shaky", retry=retry, **options)
        async def shaky(n: int) -> int:
            self.calls += 1
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.told += 1
                raise
            if self.calls <= self.fails:
                raise ValueError(f"try {self.calls}")
            return n

        self.activity = shaky


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest) -> str:
    return scenario_url(request.param)


def calling(shaky: Shaky) -> Any:
    @workflow(name="calls")
    async def calls(n: int) -> Any:
        try:
            return await local(shaky.activity)(n)
        except asyncio.CancelledError:
            return "cancelled"
        except ActivityError as error:
            return f"failed at attempt {error.attempt}"

    return calls


async def ends_with(env: Engines, tag: str) -> bool:
    """Return whether the last event of the run is one of that type."""
    return (await env.tags("w"))[-1:] == [tag]


async def test_a_short_pause_is_within_the_step() -> None:
    """The outcome is recorded in the commit of the step, and nothing of the failures."""
    shaky = Shaky(2, retry=SHORT)
    async with engines() as env:
        await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)
        assert await env.drive(handle.result()) == 5
        assert await env.tags("w") == [
            "RunStarted", "LocalActivityScheduled", "LocalActivityCompleted", "RunCompleted"
        ]  # fmt: skip


async def test_a_long_pause_is_a_timer(url: str) -> None:
    """Each failure is recorded with the time of the next attempt, which runs in a step of its own."""
    shaky = Shaky(2)
    async with engines(url) as env:
        await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)
        assert await env.drive(handle.result()) == 5
        assert await env.tags("w") == [
            "RunStarted", "LocalActivityScheduled", "LocalActivityRetryScheduled", "LocalActivityRetryScheduled",
            "LocalActivityCompleted", "RunCompleted",
        ]  # fmt: skip
        retries = [event for event in await env.history("w") if isinstance(event, LocalActivityRetryScheduled)]
        assert [(each.attempt, each.due_ms - each.at) for each in retries] == [(1, 60_000), (2, 60_000)]
        counts = await env.store.inspect.counts()
        assert (counts["dues"], counts["inbox"]) == (0, 0)


@pytest.mark.parametrize(
    ("options", "calls", "tags"),
    [
        ({}, 3, ["LocalActivityRetryScheduled"] * 2 + ["LocalActivityCompleted"]),
        ({"retry": NO_RETRY}, 1, ["LocalActivityFailed"]),
        ({"retry": SHORT}, 3, ["LocalActivityCompleted"]),
        ({"total_timeout": 90}, 2, ["LocalActivityRetryScheduled", "LocalActivityFailed"]),
    ],
)
@pytest.mark.parametrize("cache_runs", [0, 100])
async def test_a_call_may_have_options_of_its_own(
    options: dict[str, Any], calls: int, tags: list[str], cache_runs: int
) -> None:
    """What is not given stays as declared; after each recorded pause the code is asked again, and says the same."""
    shaky = Shaky(2)

    @workflow
    async def calling_so(n: int) -> Any:
        try:
            return await local(shaky.activity, **options)(n)
        except ActivityError:
            return "failed"

    async with engines() as env:
        await env.begin([calling_so], [shaky.activity], cache_runs=cache_runs)
        handle = await env.client.start(calling_so, id="w")(5)
        assert await env.drive(handle.result()) == ("failed" if tags[-1].endswith("Failed") else 5)
        assert await env.tags("w") == ["RunStarted", "LocalActivityScheduled", *tags, "RunCompleted"]
    assert shaky.calls == calls


async def test_the_policy_counts_attempts_over_steps_and_workers(url: str) -> None:
    """The worker is lost between each attempt and the next; no attempt is lost, none is counted twice."""
    shaky = Shaky(9)
    async with engines(url) as env:
        session = await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)

        async def retried(times: int) -> bool:
            return (await env.tags("w")).count("LocalActivityRetryScheduled") >= times

        for times in (1, 2, 3):
            await env.until(lambda times=times: retried(times), step_s=10)  # type: ignore[misc]
            await env.kill(session)
            session = await env.begin([calling(shaky)], [shaky.activity])
        assert await env.drive(handle.result(), step_s=10) == "failed at attempt 4"
        assert shaky.calls == 4


async def test_other_messages_come_through_while_it_waits() -> None:
    """The step was committed: a signal is delivered, and another activity runs."""
    shaky = Shaky(1)

    @workflow
    async def both(n: int) -> list[Any]:
        task = asyncio.ensure_future(local(shaky.activity)(n))
        return [await go.receive(), task.done(), await task]

    async with engines() as env:
        await env.begin([both], [shaky.activity], cache_runs=0)
        handle = await env.client.start(both, id="w")(5)
        await env.settle()
        assert (await env.tags("w"))[-1] == "LocalActivityRetryScheduled"
        await handle.signal(go, 1)
        await env.settle()
        assert (await env.tags("w"))[-1] == "SignalReceived"
        assert await env.drive(handle.result()) == [1, False, 5]


async def test_a_cancellation_ends_the_wait_for_a_retry(url: str) -> None:
    """Its due goes with it; the attempt does not run any more."""
    shaky = Shaky(1)
    async with engines(url) as env:
        await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)
        await env.until(lambda: ends_with(env, "LocalActivityRetryScheduled"))
        await handle.cancel()
        assert await env.drive(handle.result()) == "cancelled"
        assert (await env.tags("w"))[-3:] == ["CancelRequested", "LocalActivityCancelRequested", "RunCompleted"]
        await env.advance(1000)
        assert shaky.calls == 1
        assert (await env.store.inspect.counts())["dues"] == 0


async def test_a_cancellation_reaches_an_attempt_that_runs(url: str) -> None:
    """The step is open, and takes it: the attempt is told to stop, and all is in one commit."""
    shaky = Shaky(held=True)
    async with engines(url) as env:
        await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)
        await env.until(lambda: shaky.calls)
        assert await env.tags("w") == []
        await handle.cancel()
        assert await env.drive(handle.result()) == "cancelled"
        assert await env.tags("w") == [
            "RunStarted", "LocalActivityScheduled", "CancelRequested", "LocalActivityCancelRequested", "RunCompleted"
        ]  # fmt: skip
        assert shaky.told == 1


async def test_a_timeout_ends_an_attempt_that_runs() -> None:
    """The timer is of the same step, and not in the store yet."""
    shaky = Shaky(held=True)

    @workflow
    async def hurried(n: int) -> str:
        try:
            async with asyncio.timeout(30):
                return str(await local(shaky.activity)(n))
        except TimeoutError:
            return "too late"

    async with engines() as env:
        await env.begin([hurried], [shaky.activity])
        handle = await env.client.start(hurried, id="w")(5)
        assert await env.drive(handle.result()) == "too late"
        assert shaky.told == 1
        assert (await env.store.inspect.counts())["dues"] == 0


async def test_a_termination_and_the_time_limit_of_the_run_reach_an_attempt_that_runs() -> None:
    """Neither waits for it."""
    for how in ("terminate", "timeout"):
        shaky = Shaky(held=True)
        async with engines() as env:
            await env.begin([calling(shaky)], [shaky.activity])
            limit = "1 minute" if how == "timeout" else None
            handle = await env.client.start("calls", id="w", run_timeout=limit)(5)
            await env.settle()
            if how == "terminate":
                await handle.terminate()
            await env.advance(60)
            assert await env.status("w") == ("terminated" if how == "terminate" else "timed_out")
            assert shaky.told == 1


async def test_signals_that_come_while_it_runs_keep_their_place_before_a_cancellation() -> None:
    """They were sent first."""
    shaky = Shaky(held=True)

    @workflow
    async def reads(n: int) -> list[int]:
        try:
            await local(shaky.activity)(n)
        except asyncio.CancelledError:
            return [await go.receive(), await go.receive()]
        return []

    async with engines() as env:
        await env.begin([reads], [shaky.activity])
        handle = await env.client.start(reads, id="w")(5)
        await env.settle()
        await handle.signal(go, 1)
        await handle.signal(go, 2)
        await handle.cancel()
        assert await env.drive(handle.result()) == [1, 2]


async def test_a_worker_that_dies_while_one_runs_loses_nothing(url: str) -> None:
    """The step was not committed: what it had taken is in the inbox, and the next worker takes it."""
    first, second = Shaky(held=True), Shaky()

    def reading(shaky: Shaky) -> Any:
        @workflow(name="reads")
        async def reads(n: int) -> list[int]:
            return [await local(shaky.activity)(n), await go.receive()]

        return reads

    async with engines(url) as env:
        session = await env.begin([reading(first)], [first.activity])
        handle = await env.client.start("reads", id="w")(5)
        await env.until(lambda: first.calls)
        await handle.signal(go, 7)
        await env.settle()
        await env.kill(session)
        assert await env.tags("w") == []
        await env.begin([reading(second)], [second.activity])
        assert await env.drive(handle.result()) == [5, 7]


async def test_two_that_take_turns_do_not_hold_their_step_open_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many events it takes no more timers, comes to rest, and is committed."""
    from durable._engine import local as module

    monkeypatch.setattr(module, "EVENTS_MAX", 50)
    clock: list[Any] = []

    @activity
    async def ten_seconds() -> None:
        await clock[0].sleep(10)

    @workflow
    async def turns() -> None:
        async def turn(offset: int) -> None:
            await sleep(1 + offset)
            while True:
                await local(ten_seconds)()
                await sleep(5)

        await asyncio.gather(turn(0), turn(8))

    async with engines() as env:
        clock.append(env.clock)
        await env.begin([turns], [ten_seconds])
        await env.client.start(turns, id="w")()

        async def recorded() -> bool:
            return len(await env.tags("w")) > 120

        await env.until(recorded, step_s=1)


async def test_its_total_time_limit_ends_the_retries() -> None:
    """The next attempt could not begin within it."""
    shaky = Shaky(9, retry=RetryPolicy(initial_interval=60, coefficient=1, jitter=0), total_timeout="150s")
    async with engines() as env:
        await env.begin([calling(shaky)], [shaky.activity])
        handle = await env.client.start("calls", id="w")(5)
        assert await env.drive(handle.result(), step_s=10) == "failed at attempt 3"


async def test_a_reopened_run_begins_its_attempts_anew() -> None:
    """One that waited for its retry when the run failed runs at once."""
    broken = True
    waits = Shaky(1)

    @activity(name="other", retry=NO_RETRY)
    async def other() -> int:
        if broken:
            raise ValueError("not yet")
        return 2

    @workflow
    async def fragile() -> list[int]:
        task = asyncio.ensure_future(local(waits.activity)(1))
        await sleep(5)
        return [await local(other)(), await task]

    async with engines() as env:
        await env.begin([fragile], [waits.activity, other])
        handle = await env.client.start(fragile, id="w")()
        await env.settle()
        await env.advance(5)
        assert await env.status("w") == "failed"
        assert (await env.store.inspect.counts())["dues"] == 0
        broken = False
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == [2, 1]
        assert waits.calls == 2
