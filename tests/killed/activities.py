"""Scenarios of what a workflow calls: activities, local ones, those that end outside, and what is cancelled of them."""

from __future__ import annotations

import asyncio

import pytest

from durable.author import activity, activity_info, complete_later, local, proxy, side_effect, sleep, workflow
from durable.errors import RunCancelledError
from durable.retry import RetryPolicy
from tests.killed.world import Scenario, World, effect

SLOW_RETRY = RetryPolicy(initial_interval="12 s", jitter=0, max_attempts=3)


@activity
async def add(a: int, b: int) -> int:
    await effect()
    return a + b


@activity(retry=SLOW_RETRY)
async def fails_once(n: int) -> int:
    await effect()
    if activity_info().attempt == 1:
        raise ConnectionError("try again")
    return n


@activity(cancellation="wait")
async def endless(n: int) -> int:
    await asyncio.get_running_loop().create_future()
    return n


@activity
async def ask(n: int) -> str:
    await effect()
    return complete_later()


@workflow
async def remotely() -> list[int]:
    drawn = side_effect(lambda: 5)
    first = await add(drawn, 1)
    await sleep("3 s")
    return [first, *await asyncio.gather(fails_once(2), add(3, 4), proxy(add, timeout="1 hour")(5, 6))]


async def run_remotely(world: World) -> object:
    return await world.client.execute(remotely, id="a")()


@workflow
async def locally() -> list[int]:
    found = [await local(add)(1, 2)]
    found.append(await local(fails_once)(3))
    found += await asyncio.gather(local(add)(3, 4), local(add)(5, 6), add(7, 8))
    return found


async def run_locally(world: World) -> object:
    return await world.client.execute(locally, id="a")()


@workflow
async def asks() -> list[str]:
    return [await ask(1), await ask(2)]


async def answer_from_outside(world: World) -> object:
    handle = await world.client.start(asks, id="a")()
    for number in (1, 2):
        await world.until_event("a", "ActivityDeferred", number)
        (*_, token) = world.tokens
        given = world.client.activity(token)
        if number == 2:
            await given.heartbeat("half")
        await given.complete(f"answer {number}")
    return await handle.result()


@workflow
async def tidies() -> int:
    try:
        return await endless(1)
    finally:
        await asyncio.shield(add(1, 2))


async def cancel(world: World) -> object:
    handle = await world.client.start(tidies, id="a")()
    await world.until_event("a", "ActivityScheduled")
    await handle.cancel("enough", wait=True)
    with pytest.raises(RunCancelledError, match="enough"):
        await handle.result()
    return "cancelled"


@workflow
async def bounded() -> str:
    try:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(endless(1))
            group.create_task(asyncio.sleep(3600))
    except TimeoutError:
        return await add_text("gave up")
    return "no"


@activity
async def add_text(text: str) -> str:
    await effect()
    return text


async def run_bounded(world: World) -> object:
    return await world.client.execute(bounded, id="a")()


ACTIVITIES = [
    Scenario(
        name="activities, timers, side effects",
        workflows=[remotely],
        activities=[add, fails_once],
        drive=run_remotely,
        gives=[6, 2, 7, 11],
        events={"ActivityScheduled": 4, "ActivityCompleted": 4, "ActivityRetryScheduled": 1, "TimerFired": 1},
    ),
    Scenario(
        name="local activities",
        workflows=[locally],
        activities=[add, fails_once],
        drive=run_locally,
        gives=[3, 3, 7, 11, 15],
        events={"LocalActivityCompleted": 4, "LocalActivityRetryScheduled": 1, "ActivityCompleted": 1},
    ),
    Scenario(
        name="activities completed from outside",
        workflows=[asks],
        activities=[ask],
        drive=answer_from_outside,
        gives=["answer 1", "answer 2"],
        events={"ActivityDeferred": 2, "ActivityCompleted": 2, "ActivityHeartbeatRecorded": 1},
    ),
    Scenario(
        name="cancellation",
        workflows=[tidies],
        activities=[endless, add],
        drive=cancel,
        gives="cancelled",
        events={"CancelRequested": 1, "ActivityCancelRequested": 1, "ActivityCancelled": 1, "RunCancelled": 1},
    ),
    Scenario(
        name="timeouts within a run",
        workflows=[bounded],
        activities=[endless, add_text],
        drive=run_bounded,
        gives="gave up",
        events={"TimerFired": 1, "TimerCancelled": 1, "ActivityCancelled": 1},
    ),
]
