"""Scenarios of code that changes, and of code around it: patches, pinned versions, interceptors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from durable import Interceptor
from durable.author import Signal, activity, activity_info, deprecate_patch, info, patched, workflow
from durable.interceptors import CallActivityInput, SignalInput, StartInput, with_headers
from tests.killed.world import Scenario, World, effect

go = Signal("go", str)


@activity
async def old(n: int) -> int:
    await effect()
    return n


@activity
async def new(n: int) -> int:
    await effect()
    return 10 * n


# --- patches


@workflow(name="flow")
async def before() -> int:
    await go.receive()
    first = await old(1)
    await go.receive()
    return first + await old(2)


@workflow(name="flow")
async def with_patch() -> int:
    await go.receive()
    first = await new(1) if patched("better") else await old(1)
    await go.receive()
    return first + await old(2)


@workflow(name="flow")
async def with_deprecated() -> int:
    await go.receive()
    deprecate_patch("better")
    first = await new(1)
    await go.receive()
    return first + await old(2)


async def patch(world: World) -> object:
    early = await world.client.start(before, id="early")()
    await early.signal(go, "on")
    await world.until_event("early", "ActivityCompleted")
    await world.serve(with_patch)
    late = await world.client.start(with_patch, id="late")()
    await late.signal(go, "on")
    await early.signal(go, "on")
    found = [await early.result()]
    await world.until_event("late", "ActivityCompleted")
    await world.serve(with_deprecated)
    await late.signal(go, "on")
    found.append(await late.result())
    return [*found, [use.patch for use in await world.client.patches()]]


# --- pinned versions


@workflow(name="order", version="1", pinned=True)
async def order_1() -> int:
    await go.receive()
    return await old(1)


@workflow(name="order", version="2", pinned=True)
async def order_2() -> int:
    await go.receive()
    return await new(1)


async def pin(world: World) -> object:
    early = await world.client.start(order_1, id="early")()
    await world.until_event("early", "RunStarted")
    await world.serve(order_2, slot="new")
    late = await world.client.start(order_2, id="late")()
    for handle in (late, early):
        await handle.signal(go, "on")
    return [await early.result(), await late.result()]


# --- interceptors


class Identity(Interceptor):
    """Hands on who started a run and who signalled it, and changes what is signalled on its way."""

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        return await next(with_headers(input, {"user": "ada"}))

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        await next(with_headers(input, {"by": "bob"}))

    def call_activity(self, input: CallActivityInput, next: Callable[[CallActivityInput], Any]) -> Any:
        return next(with_headers(input, {"user": input.run.headers["user"]}))


@activity
async def charge(cents: int) -> str:
    await effect()
    return f"{cents} for {activity_info().headers['user']}"


@workflow
async def checkout() -> list[str]:
    first = await charge(1)
    await go.receive()
    return [first, await charge(2), info().headers["user"]]


async def intercept(world: World) -> object:
    handle = await world.client.start(checkout, id="a")()
    await handle.signal(go, "on")
    return await handle.result()


CHANGES = [
    Scenario(
        name="patches",
        workflows=[before],
        activities=[old, new],
        drive=patch,
        gives=[3, 12, []],
        events={"PatchMarked": 1, "ActivityCompleted": 4},
        codes={"early": with_patch},
    ),
    Scenario(
        name="pinned versions",
        workflows=[order_1],
        activities=[old, new],
        drive=pin,
        gives=[1, 10],
        events={"ActivityCompleted": 2, "RunCompleted": 2},
    ),
    Scenario(
        name="interceptors",
        workflows=[checkout],
        activities=[charge],
        drive=intercept,
        gives=["1 for ada", "2 for ada", "ada"],
        events={"ActivityCompleted": 2, "SignalReceived": 1},
        interceptors=[Identity()],
    ),
]
