"""A question and continue-as-new: it is answered by the run that is current, as a signal would be read by it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from durable.author import Query, Signal, continue_as_new, workflow
from durable.errors import RequestFailedError, RequestTimeoutError, RunClosedError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines

go = Signal("go", int)
total = Query("total", int)


@workflow
async def sums(so_far: int) -> int:
    """Each run takes one signal and continues; 0 ends the chain."""

    @total.handler
    def answer() -> int:
        if so_far < 0:
            raise RunClosedError("what the handler itself raises")
        return so_far

    value = await go.receive()
    if value == 0:
        return so_far
    return continue_as_new(so_far + value)


@pytest.fixture
async def env() -> AsyncIterator[Engines]:
    async with engines() as opened:
        yield opened


@pytest.mark.parametrize("cache", [None, 0])
async def test_a_query_behind_a_signal_sees_the_run_that_the_signal_led_to(env: Engines, cache: int | None) -> None:
    """Both are in the inbox as the run continues; the second one is answered by the run after it."""
    first = await env.client.start(sums, id="s")(0)
    await env.begin([sums], cache_runs=cache)
    await env.settle()
    for expected in (5, 10, 15):
        await first.signal(go, 5)
        assert await env.drive(first.query(total)) == expected
        assert await env.drive(env.client.handle("s").query(total)) == expected
    await first.signal(go, 0)
    assert await env.drive(first.query(total)) == 15
    assert await env.drive(first.result()) == 15


async def test_a_query_follows_the_chain_to_its_end(env: Engines) -> None:
    """Ten runs begin and end while it is under way; the last one answers, closed as it is."""
    first = await env.client.start(sums, id="s")(0)
    for n in [*range(1, 11), 0]:
        await first.signal(go, n)
    asked = asyncio.ensure_future(first.query(total))
    await env.settle()
    await env.begin([sums])
    assert await env.drive(asked) == 55
    assert await env.drive(first.result()) == 55
    assert_replays(sums, await first.history())


async def test_a_handler_that_raises_the_same_error_is_not_asked_for_ever(env: Engines) -> None:
    """Its run is the current one: what it says is the answer."""
    await env.begin([sums])
    first = await env.client.start(sums, id="s")(-1)
    with pytest.raises(RequestFailedError, match="itself") as failed:
        await env.drive(first.query(total))
    assert isinstance(failed.value.__cause__, RunClosedError)


async def test_the_time_to_answer_is_that_of_all_tries(env: Engines) -> None:
    """The next run is on a queue without a worker: the caller is told, and which worker is missing."""

    @workflow(name="moves")
    async def moves() -> None:
        await go.receive()
        continue_as_new.into(queue="far")()

    await env.begin([moves])
    first = await env.client.start(moves, id="m")()
    await env.settle()
    await first.signal(go, 1)
    with pytest.raises(RequestTimeoutError, match="'far'"):
        await env.drive(first.query(total, timeout=3))
