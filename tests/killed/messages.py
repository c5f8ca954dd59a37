"""Scenarios of what is told and asked: signals, queries, updates, handlers that are left behind, starts that bring a message."""

from __future__ import annotations

import asyncio

import pytest

from durable.author import Query, Signal, Update, activity, sleep, wait_condition, workflow
from durable.errors import RequestFailedError, UpdateRejectedError
from tests.killed.world import Scenario, World, effect

add = Update("add", int, int)
late = Update("late", int, int)
never = Update("never", int, int)
item = Signal("item", str)
word = Signal("word", str)
unknown = Signal("unknown", int)
go = Signal("go")
total = Query("total", int)
WAIT = "10 minutes"  # for what a worker that dies, and the next one, take


@activity
async def work(n: int) -> int:
    await effect()
    return n


@activity
async def note(text: str) -> str:
    await effect()
    return text


# --- signals


@workflow
async def hears() -> list[str]:
    heard: list[str] = []

    @item.handler
    async def on_item(text: str) -> None:
        heard.append(await note(text))

    heard.append(await word.receive())
    await go.receive()

    @Signal.dynamic
    def on_any(name: str, value: object) -> None:
        heard.append(f"{name} {value}")

    async for text in word:
        return [*heard, text]
    return []


async def signal(world: World) -> object:
    handle = await world.client.start(hears, id="a")()
    await handle.signal(word, "early")
    for text in ("one", "two"):
        await handle.signal(item, text, request_id=f"r-{text}")
    await world.until_event("a", "ActivityCompleted", 2)
    await handle.signal(item, "one", request_id="r-one")  # it was read before
    await handle.signal(unknown, 5)
    await handle.signal(go)
    await world.until_event("a", "SignalReceived", 5)
    await handle.signal(word, "last")
    return await handle.result()


# --- queries


@workflow
async def counts() -> int:
    state = 0

    @total.handler
    def tell() -> int:
        return state

    for n in (1, 2):
        state += await work(n)
        await go.receive()
    return state


async def query(world: World) -> object:
    handle = await world.client.start(counts, id="a")()
    found: list[int] = []
    for number in (1, 2):
        await world.until_event("a", "ActivityCompleted", number)
        found += await asyncio.gather(*(handle.query(total, timeout=WAIT) for _ in range(2)))
        await handle.signal(go)
    found.append(await handle.result())
    return [*found, await handle.query(total, timeout=WAIT)]


# --- updates


@workflow
async def account() -> int:
    state = 0

    @add.handler
    async def on_add(n: int) -> int:
        nonlocal state
        state += await work(n)
        return state

    @add.validator
    def check(n: int) -> None:
        if n < 0:
            raise ValueError("negative")

    await go.receive()

    @late.handler
    async def on_late(n: int) -> int:
        await sleep("3 s")
        return -n

    await go.receive()
    return state


async def update(world: World) -> object:
    handle = await world.client.start(account, id="a")()
    sent = [
        asyncio.create_task(each)
        for each in (
            handle.update(add, 2, update_id="u-1", timeout=WAIT),
            handle.update(add, 2, update_id="u-1", timeout=WAIT),
            handle.update(late, 4, update_id="u-3", timeout=WAIT),
            handle.update(never, 5, update_id="u-4", timeout=WAIT),
        )
    ]
    with pytest.raises(UpdateRejectedError, match="negative"):
        await handle.update(add, -1, timeout=WAIT)
    await world.until_event("a", "UpdateCompleted")
    second = await handle.start_update(add, 3, wait="accepted", timeout=WAIT)
    assert await second.result() == 5
    for _ in range(2):
        await handle.signal(go)
    *answers, rejected = await asyncio.gather(*sent, return_exceptions=True)
    assert isinstance(rejected, UpdateRejectedError)
    assert "never had a handler for update 'never'; it had: add, late" in str(rejected)
    assert await world.client.handle("a").update_handle("u-3", late).result() == -4
    return [*answers, await handle.result()]


# --- handlers and the close


@workflow
async def leaves() -> int:
    done = 0

    @add.handler(concurrent=True, unfinished="abandon")
    async def on_add(n: int) -> int:
        await wait_condition(lambda: False)
        return n

    @item.handler(concurrent=True, unfinished="abandon")
    async def on_item(_text: str) -> None:
        await sleep("1 day")

    @late.handler(concurrent=True)
    async def on_late(n: int) -> int:
        nonlocal done
        await sleep("3 s")
        done += await work(n)
        return done

    await go.receive()
    return done  # as it is before the handler that is waited for is done


async def leave(world: World) -> object:
    handle = await world.client.start(leaves, id="a")()
    given_up = await handle.start_update(add, 1, timeout=WAIT)
    await handle.signal(item, "x")
    waited_for = await handle.start_update(late, 2, timeout=WAIT)
    await handle.signal(go)
    with pytest.raises(RequestFailedError):
        await given_up.result()
    return [await waited_for.result(), await handle.result()]


# --- starts that bring a message


@workflow
async def cart(owner: str) -> list[str]:
    found = [owner]
    async for text in item:
        if text == "pay":
            return found
        found.append(await note(text))
    return found


async def start_with_signal(world: World) -> object:
    for text in ("a", "b", "pay"):
        for _ in range(2):  # a repeat, as after an outcome that was unknown
            handle = await world.client.start_with_signal(cart, item, text, id="a", request_id=f"r-{text}")("ada")
        await world.until_event(
            "a", "RunStarted" if text == "a" else "SignalReceived"
        )  # the first comes with the start
    first = await handle.result()
    again = await world.client.start_with_signal(cart, item, "pay", id="a")("bob")
    return [first, await again.result()]


async def start_with_update(world: World) -> object:
    found: list[int] = []
    for n in (2, 3, 2):
        start = world.client.start_with_update(account, add, n, id="a", update_id=f"u-{n}", timeout=WAIT)
        found.append(await (started := await start()).result())
    for _ in range(2):
        await started.run.signal(go)
    return [*found, await started.run.result()]


MESSAGES = [
    Scenario(
        name="signals",
        workflows=[hears],
        activities=[note],
        drive=signal,
        gives=["early", "one", "two", "unknown 5", "last"],
        events={"SignalReceived": 6, "ActivityCompleted": 2},
    ),
    Scenario(
        name="queries",
        workflows=[counts],
        activities=[work],
        drive=query,
        gives=[1, 1, 3, 3, 3, 3],
        events={"SignalReceived": 2, "ActivityCompleted": 2},
    ),
    Scenario(
        name="updates",
        workflows=[account],
        activities=[work],
        drive=update,
        gives=[2, 2, -4, 5],
        events={"UpdateAccepted": 3, "UpdateCompleted": 3, "ActivityCompleted": 2, "TimerFired": 1},
    ),
    Scenario(
        name="handlers that are waited for, and abandoned ones",
        workflows=[leaves],
        activities=[work],
        drive=leave,
        gives=[2, 0],
        events={"UpdateAccepted": 2, "UpdateCompleted": 2, "SignalReceived": 2, "TimerCancelled": 1, "TimerFired": 1},
    ),
    Scenario(
        name="start_with_signal",
        workflows=[cart],
        activities=[note],
        drive=start_with_signal,
        gives=[["ada", "a", "b"], ["bob"]],
        events={"RunStarted": 2, "SignalReceived": 2, "ActivityCompleted": 2},
    ),
    Scenario(
        name="start_with_update",
        workflows=[account],
        activities=[work],
        drive=start_with_update,
        gives=[2, 5, 2, 5],
        events={"RunStarted": 1, "UpdateAccepted": 2, "UpdateCompleted": 2, "ActivityCompleted": 2},
    ),
]
