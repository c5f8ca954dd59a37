"""Cancelled and deferred activities on the log: races with what comes at the same time, and runs that are reopened."""

import asyncio

import pytest

from durable._log import AttemptToken, write_token
from durable.author import Signal, activity, complete_later, proxy, sleep, workflow
from durable.errors import AttemptOverError
from tests.engine.env import Engines, engines

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


async def clean(env: Engines) -> bool:
    """Return whether nothing is left of the runs but their records."""
    counts = await env.store.inspect.counts()
    return (counts["tasks"], counts["dues"], counts["inbox"]) == (0, 0, 0)


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
