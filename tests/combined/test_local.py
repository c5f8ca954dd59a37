"""Steps that are held open by local activities, and what comes for the run meanwhile."""

import asyncio

import pytest

from durable.author import Query, Update, activity, local, workflow
from durable.retry import RetryPolicy
from durable.testing import assert_replays
from tests.engine.env import engines

state = Query("state", str)
note = Update("note", str, int)
calls: list[int] = []


@activity(retry=RetryPolicy(max_attempts=5, initial_interval=4, coefficient=1, jitter=0))
async def third_time() -> int:
    calls.append(1)
    if len(calls) < 3:
        raise ValueError("not yet")
    return len(calls)


@workflow
async def asked() -> list[object]:
    said: list[str] = []
    at = "begun"

    @state.handler
    def answer() -> str:
        return at

    @note.handler
    async def take(text: str) -> int:
        said.append(text)
        return len(said)

    tried = await local(third_time)()
    at = "tried"
    return [tried, said]


@pytest.mark.parametrize("cache", [None, 0])
async def test_a_question_does_not_keep_an_open_step_from_its_end(cache: int | None) -> None:
    """Nor what comes behind it: the step would be thrown away, and its local activity run anew, again and again."""
    calls.clear()
    async with engines() as env:
        await env.begin([asked], [third_time], cache_runs=cache)
        handle = await env.client.start(asked, id="a")()
        await env.advance(1)
        query = asyncio.ensure_future(handle.query(state, timeout=60))
        await env.settle()
        update = asyncio.ensure_future(handle.update(note, "one", timeout=60))
        await env.settle()
        assert await env.drive(handle.result()) == [3, ["one"]]
        assert (await query, await update) == ("tried", 1)
        assert len(calls) == 3
        assert_replays(asked, await handle.history())
