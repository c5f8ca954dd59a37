"""Failed runs that are reopened, or ended without their code, with everything pending that a run can have."""

import asyncio
from typing import Any

import pytest

from durable._log import AttemptToken, write_token
from durable.author import (
    Attribute,
    Query,
    Signal,
    Update,
    activity,
    complete_later,
    local,
    proxy,
    sleep,
    start_child,
    upsert_attributes,
    workflow,
)
from durable.errors import RequestFailedError, RunFailedError, RunOutcomeError
from durable.history import ActivityScheduled, RunStarted
from durable.retry import NO_RETRY, RetryPolicy
from durable.testing import assert_replays
from tests.engine.env import Engines, engines

go = Signal("go", str)
state = Query("state", str)
hold = Update("hold", str, str)
stage = Attribute("stage", str)
tries: list[int] = []
good = False  # whether the world, and the code, are as they should be


@activity(timeout="1 hour", heartbeat_timeout="30 minutes")
async def outside() -> str:
    return complete_later()


@activity(timeout="1 hour")
async def slow() -> str:
    return complete_later()


@activity(retry=RetryPolicy(initial_interval="10 minutes", maximum_interval="1 hour"))
async def shaky() -> str:
    tries.append(1)
    if not good:
        raise ValueError("not yet")
    return "shaky"


@activity(retry=NO_RETRY)
async def fragile() -> str:
    if not good:
        raise ValueError("fragile")
    return "fragile"


@workflow
async def kid() -> str:
    return await go.receive()


@workflow(timeout="1 day")
async def everything(fails: str) -> list[str]:
    """Has all kinds of things pending as it fails: by its own code, or by an activity."""
    upsert_attributes({stage: "begun"})

    @hold.handler
    async def held(value: str) -> str:
        upsert_attributes({stage: value})
        await sleep("2 hours")
        return value

    child = await start_child(kid, id="kid", parent_close="abandon")()

    async def cancelled() -> str:
        waited = asyncio.ensure_future(proxy(slow, cancellation="wait")())
        await asyncio.sleep(1)
        waited.cancel()
        try:
            return await waited
        except asyncio.CancelledError:
            return "cancelled"

    async def failing() -> str:
        word = await go.receive()
        if fails == "activity":
            return await fragile()
        if word == "fail" and not good:
            raise ValueError("on purpose")
        return word

    parts = [outside(), local(shaky)(), cancelled(), failing(), child.result()]
    return list(await asyncio.gather(*parts))


ALL: list[Any] = [everything, kid]
ACTIVITIES = [outside, slow, shaky, fragile]


async def nothing_is_left(env: Engines) -> None:
    counts = await env.store.inspect.counts()
    assert {name: counts[name] for name in ("inbox", "tasks", "dues", "outgoing")} == {
        "inbox": 0, "tasks": 0, "dues": 0, "outgoing": 0,
    }  # fmt: skip


async def complete(env: Engines, name: str) -> None:
    """Complete a deferred activity from outside, by the token of its first attempt."""
    events = await env.history("p")
    number = next(e.id for e in events if isinstance(e, ActivityScheduled) and e.activity == name)
    started = next(e for e in events if isinstance(e, RunStarted))
    token = write_token(AttemptToken(workflow_id="p", run_id=started.run_id, id=number, attempt=1))
    await env.client.activity(token).complete(name)


async def begun(env: Engines, fails: str, cache: int | None = None) -> Any:
    """Start it, and let everything be pending: the update is accepted, the wait-cancelled activity is deferred and asked to stop."""
    global good
    good = False
    tries.clear()
    env.session = await env.begin(ALL, ACTIVITIES, cache_runs=cache)  # type: ignore[attr-defined]
    handle = await env.client.start(everything, id="p")(fails)
    await env.advance(2)
    await env.drive(handle.start_update(hold, "held", update_id="u"))
    await env.advance(2)
    assert "ActivityCancelRequested" in await env.tags("p")
    return handle


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("fails", ["code", "activity"])
@pytest.mark.parametrize("how", ["retry", "terminate", "terminate without code", "time out without code"])
async def test_what_is_pending_as_a_run_fails(fails: str, cache: int | None, how: str) -> None:
    """A retry puts all of it back; an end, in whatever way, leaves nothing behind."""
    global good
    async with engines() as env:
        handle = await begun(env, fails, cache)
        if how == "retry":
            await handle.signal(go, "fail")
            with pytest.raises(RunFailedError):
                await env.drive(handle.result())
            await env.advance("3 hours")
            counts = await env.store.inspect.counts()
            assert (counts["tasks"], counts["dues"], counts["outgoing"], counts["inbox"]) == (0, 0, 0, 0)
            good = True
            await env.drive(handle.retry())
            await env.advance(1)
            assert (await handle.describe()).attributes[stage] == "held"
            await env.client.handle("kid").signal(go, "kid")
            await complete(env, "outside")
            assert await env.drive(handle.result(), step_s=60) == [
                "outside", "shaky", "cancelled", "fail" if fails == "code" else "fragile", "kid",
            ]  # fmt: skip
            assert await env.drive(handle.update_handle("u", hold).result()) == "held"
        else:
            if "without code" in how:
                await env.kill(env.session)  # type: ignore[attr-defined]
                await env.begin([kid], ACTIVITIES)
                query = asyncio.ensure_future(handle.query(state))
                await env.settle()
            else:
                query = None
            if how == "time out without code":
                await env.advance("25 hours")
            else:
                await handle.terminate()
            with pytest.raises(RunOutcomeError):
                await env.drive(handle.result())
            if query is not None:
                with pytest.raises(RequestFailedError):
                    await env.drive(query)
            with pytest.raises(RequestFailedError):
                await env.drive(handle.update_handle("u", hold).result())
            assert (await handle.describe()).attributes[stage] == "held"
            await env.client.handle("kid").terminate()
        await env.advance(1)
        await nothing_is_left(env)
        assert_replays(everything, await handle.history())


async def test_the_new_attempt_of_a_reopened_run_goes_with_a_run_that_ends_without_its_code() -> None:
    """It has another number than the one that failed, and no event but the reopening says so."""
    async with engines() as env:
        handle = await begun(env, "activity")
        await handle.signal(go, "")
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        await env.kill(env.session)  # type: ignore[attr-defined]
        second = await env.begin(ALL, [shaky])  # nobody runs the others any more
        await env.drive(handle.retry())
        await env.advance(1)
        assert (await env.store.inspect.counts())["tasks"] == 2  # of outside, and of fragile, tried anew
        await env.kill(second)
        await env.begin([kid])
        await env.client.handle("kid").terminate()
        await handle.terminate()
        await env.advance(1)
        await nothing_is_left(env)


async def test_who_asks_a_run_that_is_ended_without_its_code_is_told() -> None:
    """The question comes with the order to end."""
    async with engines() as env:
        first = await env.begin(ALL)
        handle = await env.client.start(kid, id="k")()
        await env.advance(1)
        await env.kill(first)
        query = asyncio.ensure_future(handle.query(state))
        await env.settle()
        await handle.terminate()
        await env.begin([everything])
        with pytest.raises(RequestFailedError, match="stuck"):
            await env.drive(query)
        await env.advance(1)
        assert await env.status("k") == "terminated"
        await nothing_is_left(env)
