"""`sys.exit()` in a workflow's code is an exception of that code: it ends no worker, and no other run."""

import asyncio
import logging
import sys

import pytest

from durable.author import Query, Signal, Update, side_effect, wait_condition, workflow
from durable.errors import RequestFailedError, RunFailedError, UpdateRejectedError
from durable.testing import TestEnvironment, assert_replays

go = Signal("go")
add = Update("add", int, int)
total = Query("total", int)


@workflow
async def exits(where: str) -> str:
    async def in_a_task() -> None:
        sys.exit(f"in {where}")

    def now() -> int:
        sys.exit(f"in {where}")

    match where:
        case "the code":
            sys.exit("in the code")
        case "a task":
            await asyncio.create_task(in_a_task())
        case "a group":
            async with asyncio.TaskGroup() as group:
                group.create_task(in_a_task())
        case "a side effect":
            side_effect(now)
        case "a predicate":
            await wait_condition(now)
        case "a predicate, later":
            met = False

            def later() -> bool:
                return met and bool(now())

            waiting = asyncio.ensure_future(wait_condition(later))
            await asyncio.sleep(1)
            met = True
            await waiting
        case _:
            go.handler(now)
    await asyncio.sleep(60)
    return ""


@workflow
async def asked() -> str:
    @add.validator
    def check(n: int) -> None:
        if n < 0:
            sys.exit("validator")

    @add.handler
    def on_add(n: int) -> int:
        sys.exit("handler")

    @total.handler
    def tell() -> int:
        sys.exit("query")

    await go.receive()
    return "still here"


PLACES = ["the code", "a task", "a group", "a side effect", "a predicate", "a predicate, later", "a handler"]


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("cache_runs", [0, 100])
async def test_it_fails_its_run(where: str, cache_runs: int, caplog: pytest.LogCaptureFixture) -> None:
    """As any other exception does; the worker goes on, and so does a replay."""
    async with TestEnvironment(workflows=[exits], cache_runs=cache_runs) as env:
        handle = await env.client.start(exits)(where)
        if where == "a handler":
            await handle.signal(go)
        with pytest.raises(RunFailedError, match=f"in {where}"):
            await handle.result()
        assert_replays(exits, await handle.history())
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_it_is_an_answer_to_who_asked() -> None:
    """A query, a validator and the handler of an update fail their callers only."""
    async with TestEnvironment(workflows=[asked]) as env:
        handle = await env.client.start(asked)()
        with pytest.raises(RequestFailedError, match="query"):
            await handle.query(total)
        with pytest.raises(UpdateRejectedError, match="validator"):
            await handle.update(add, -1)
        with pytest.raises(RequestFailedError, match="handler"):
            await handle.update(add, 1)
        await handle.signal(go)
        assert await handle.result() == "still here"
        assert_replays(asked, await handle.history())
