"""Activities that are completed from outside, in runs whose time is limited: theirs and that of their whole chain."""

from typing import Any

import pytest

from durable._log import AttemptToken, write_token
from durable.author import activity, complete_later, continue_as_new, workflow
from durable.errors import AttemptOverError, RunTimedOutError
from durable.history import ActivityScheduled
from durable.testing import assert_replays
from tests.engine.env import Engines, engines


@activity
async def ask(question: int) -> str:
    return complete_later()


@workflow
async def asks(left: int) -> str:
    answer = await ask(left)
    return continue_as_new(left - 1) if left > 1 else answer


async def token(env: Engines) -> Any:
    """Return what is done with the token of the present run's activity, once that is deferred."""

    async def deferred() -> bool:
        return (await env.tags("a")).count("ActivityDeferred") == 1

    await env.until(deferred, step_s=0.01)
    scheduled = [event for event in await env.history("a") if isinstance(event, ActivityScheduled)][-1]
    run_id = (await env.client.handle("a").describe()).run_id
    return env.client.activity(write_token(AttemptToken("a", run_id, scheduled.id, 1)))


async def nothing_is_left(env: Engines) -> bool:
    counts = await env.store.inspect.counts()
    return not any(counts[name] for name in ("inbox", "tasks", "dues", "outgoing"))


@pytest.fixture(params=[None, 0])
def cache(request: pytest.FixtureRequest) -> Any:
    return request.param


async def second_run(env: Engines, cache: Any, **limits: Any) -> tuple[str, Any]:
    """Begin a chain, answer its first run's question after 30 s, and return the session and the second one's token."""
    session = await env.begin([asks], [ask], cache_runs=cache)
    await env.client.start(asks, id="a", **limits)(2)
    first = await token(env)
    await env.advance(30)
    await first.complete("go on")

    async def continued() -> bool:
        return len(await env.client.list()) == 2

    await env.until(continued, step_s=0.01)
    return session, await token(env)


@pytest.mark.parametrize(("limits", "kind", "left_s"), [
    ({"execution_timeout": 60}, "execution", 30),
    ({"run_timeout": 60}, "run", 60),
    ({"run_timeout": 60, "execution_timeout": 80}, "execution", 50),
])  # fmt: skip
async def test_whoever_answers_after_the_limit_is_told(
    limits: dict[str, Any], kind: str, left_s: float, cache: Any
) -> None:
    """The limit of a chain counts from its first start, in whichever run it ends; nothing is left of what was asked."""
    async with engines() as env:
        _, given = await second_run(env, cache, **limits)
        await env.advance(left_s - 1)
        assert await env.status("a") == "running"
        await given.heartbeat({"page": 1})
        await env.advance(1.1)
        with pytest.raises(RunTimedOutError) as timed_out:
            await env.drive(env.client.handle("a").result())
        assert timed_out.value.kind == kind
        with pytest.raises(AttemptOverError, match="its run is timed out"):
            await given.complete("late")
        with pytest.raises(AttemptOverError, match="its run is timed out"):
            await given.heartbeat()
        assert await env.until(lambda: nothing_is_left(env))
        assert_replays(asks, await env.client.handle("a").history())


async def test_who_answers_within_the_limit_is_in_time(cache: Any) -> None:
    """And no limit of the chain is left behind."""
    async with engines() as env:
        _, given = await second_run(env, cache, execution_timeout=60)
        await env.advance(29)
        await given.complete("in time")
        assert await env.drive(env.client.handle("a").result()) == "in time"
        assert await env.until(lambda: nothing_is_left(env))


@pytest.mark.parametrize("in_time", [True, False])
async def test_an_answer_and_the_limit_while_no_worker_is_there(in_time: bool, cache: Any) -> None:
    """Both wait for the next worker. An answer that was acknowledged is read before the limit is judged, also if it came after it."""
    async with engines() as env:
        session, given = await second_run(env, cache, execution_timeout=60)
        await env.kill(session)
        if not in_time:
            env.clock.advance(60)
        await given.complete("meanwhile")
        if in_time:
            env.clock.advance(60)
        await env.begin([asks], [ask], cache_runs=cache)
        assert await env.drive(env.client.handle("a").result()) == "meanwhile"
        assert await env.until(lambda: nothing_is_left(env))
        assert_replays(asks, await env.client.handle("a").history())
