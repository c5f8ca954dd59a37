"""Cancelled and deferred activities on the log: owners that die at each commit, and races with what comes at the same time."""

import asyncio
from typing import Any

import pytest

from durable._log import AttemptToken, write_token
from durable.author import Signal, activity, complete_later, proxy, sleep, workflow
from durable.errors import AttemptOverError
from durable.history import ActivityScheduled
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

go = Signal("go")


@activity(cancellation="wait")
async def endless(n: int) -> int:
    await asyncio.get_running_loop().create_future()
    return n


@activity
async def undo(n: int) -> int:
    return n


@activity
async def ask(n: int) -> str:
    return complete_later()


@workflow
async def tidy() -> int:
    try:
        return await endless(1)
    finally:
        await undo(2)


@workflow
async def asking() -> list[str]:
    return [await ask(1), await ask(2)]


def dying(env: Engines, nth: int, fate: str) -> Any:
    """A store that meets `fate` at the commit number `nth`."""
    commits = [0]

    def plan(name: str, _number: int) -> str:
        if name == "commit":
            commits[0] += 1
            return fate if commits[0] == nth else ""
        return ""

    return FaultyStore(env.store, plan)


async def clean(env: Engines) -> bool:
    """Return whether nothing is left of the runs but their records."""
    counts = await env.store.inspect.counts()
    return (counts["tasks"], counts["dues"], counts["inbox"]) == (0, 0, 0)


@pytest.mark.parametrize("cache_runs", [None, 0])
@pytest.mark.parametrize("fate", ["die", "die after"])
@pytest.mark.parametrize("nth", range(1, 6))
async def test_a_death_at_any_commit_of_a_cancellation_loses_nothing(
    nth: int, fate: str, cache_runs: int | None
) -> None:
    """The attempt is told by whoever owns the run then, its end is recorded once, and the cleanup follows it."""
    async with engines(partitions=1) as env:
        first = await env.begin([tidy], [endless, undo], store=dying(env, nth, fate), cache_runs=cache_runs)
        handle = await env.client.start(tidy, id="t")()
        await env.settle()
        await handle.cancel()
        await env.settle()
        await env.advance(1)
        await env.kill(first)
        await env.begin([tidy], [endless, undo], cache_runs=cache_runs)

        async def closed() -> bool:
            return await env.status("t") == "cancelled"

        await env.until(closed)
        tags = await env.tags("t")
        assert tags == [
            "RunStarted", "ActivityScheduled", "CancelRequested", "ActivityCancelRequested", "ActivityCancelled",
            "ActivityScheduled", "ActivityCompleted", "RunCancelled",
        ]  # fmt: skip
        assert await env.until(lambda: clean(env))


@pytest.mark.parametrize("fate", ["die", "die after"])
@pytest.mark.parametrize("nth", range(1, 8))
async def test_a_death_at_any_commit_loses_no_report_from_outside(nth: int, fate: str) -> None:
    """Each activity is deferred once for the history, and ends with what the holder of its token said."""
    async with engines(partitions=1) as env:
        first = await env.begin([asking], [ask], store=dying(env, nth, fate))
        handle = await env.client.start(asking, id="a")()
        await env.settle()
        second = ""
        for number in (1, 2):

            async def deferred(number: int = number) -> bool:
                return (await env.tags("a")).count("ActivityDeferred") == number

            try:
                await env.until(deferred, steps=4)
            except AssertionError:  # this is where the owner died
                await env.kill(first)
                second = await env.begin([asking], [ask])
                await env.until(deferred)
            scheduled = [event for event in await env.history("a") if isinstance(event, ActivityScheduled)][-1]
            token = write_token(AttemptToken("a", handle.run_id or "", scheduled.id, 1))
            await env.client.activity(token).complete(f"answer {number}")
        if not second:
            await env.settle()
            await env.kill(first)
            await env.begin([asking], [ask])
        assert await env.drive(handle.result()) == ["answer 1", "answer 2"]
        assert (await env.tags("a")).count("ActivityCompleted") == 2
        assert await env.until(lambda: clean(env))


@pytest.mark.parametrize("kind", ["try", "wait"])
@pytest.mark.parametrize("cancel_first", [True, False])
async def test_cancellation_against_completion(kind: str, cancel_first: bool) -> None:
    """Both in one step: what callers say comes first; "wait" takes the result that was on its way all the same."""

    @workflow
    async def races() -> str:
        try:
            return str(await proxy(ask, cancellation=kind)(1))  # type: ignore[call-overload]
        except asyncio.CancelledError:
            return "cancelled"

    async with engines(partitions=1) as env:
        first = await env.begin([races], [ask])
        handle = await env.client.start(races, id="r")()

        async def deferred() -> bool:
            return "ActivityDeferred" in await env.tags("r")

        await env.until(deferred)
        await env.kill(first)
        given = env.client.activity(write_token(AttemptToken("r", handle.run_id or "", 1, 1)))
        both = [lambda: handle.cancel(), lambda: given.complete("done")]
        for call in both if cancel_first else both[::-1]:
            await call()
        await env.begin([races], [ask])
        assert await env.drive(handle.result()) == ("done" if kind == "wait" else "cancelled")
        assert await env.until(lambda: clean(env))


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_cancellation_against_a_timer(cancel_first: bool) -> None:
    """Whichever is first for the run decides; a timer that is due is beaten by a cancellation in the same step."""

    @workflow
    async def naps() -> str:
        try:
            await sleep(10)
        except asyncio.CancelledError:
            return "cancelled"
        return "rested"

    async with engines(partitions=1) as env:
        first = await env.begin([naps])
        handle = await env.client.start(naps, id="n")()
        await env.settle()
        if cancel_first:
            await env.kill(first)
            await handle.cancel()
            env.clock.advance(10)
            await env.begin([naps])
        else:
            await env.advance(10)
            with pytest.raises(Exception, match="is closed"):
                await handle.cancel()
        assert await env.drive(handle.result()) == ("cancelled" if cancel_first else "rested")
        assert await env.until(lambda: clean(env))


async def test_a_reopened_run_waits_again_for_what_it_had_cancelled() -> None:
    """The attempt is put on its queue as cancelled, so that nobody begins it, and ends."""
    broken = True

    @workflow
    async def fragile() -> str:
        call = asyncio.ensure_future(endless(1))
        await go.receive()
        call.cancel()
        await undo(1)
        if broken:
            raise ValueError("not yet")
        await asyncio.wait([call])
        return f"cancelled: {call.cancelled()}"

    async with engines(partitions=1) as env:
        hands_were_told: list[str] = []
        session = await env.begin([fragile], [endless, undo])
        env.hands(session).cancel = lambda ids: hands_were_told.extend(ids)  # type: ignore[method-assign]
        handle = await env.client.start(fragile, id="f")()
        await env.settle()
        await handle.signal(go)

        async def failed() -> bool:
            return await env.status("f") == "failed"

        await env.until(failed)
        assert hands_were_told
        assert await clean(env)
        broken = False
        await env.kill(session)
        await env.begin([fragile], [endless, undo])
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "cancelled: True"
        assert await env.until(lambda: clean(env))


async def test_a_reopened_run_asks_anew_for_what_was_left_to_others() -> None:
    """The attempt runs again under its number, and its token is good for it."""
    broken = True

    @workflow
    async def fragile() -> str:
        call = asyncio.ensure_future(ask(1))
        await go.receive()
        await undo(1)
        if broken:
            raise ValueError("not yet")
        return await call

    async with engines(partitions=1) as env:
        session = await env.begin([fragile], [ask, undo])
        handle = await env.client.start(fragile, id="f")()
        await env.settle()
        await handle.signal(go)

        async def failed() -> bool:
            return await env.status("f") == "failed"

        await env.until(failed)
        given = env.client.activity(write_token(AttemptToken("f", handle.run_id or "", 1, 1)))
        with pytest.raises(AttemptOverError, match="its run is failed"):
            await given.complete("late")
        broken = False
        await env.drive(handle.retry())
        await env.until(lambda: len(env.hands(session).calls) >= 3)
        await given.complete("yes")
        assert await env.drive(handle.result()) == "yes"
        assert await env.until(lambda: clean(env))
