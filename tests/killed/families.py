"""Scenarios of runs that deal with others: children, what becomes of them at the parent's close, and runs of somebody else."""

from __future__ import annotations

import asyncio

import pytest

from durable.author import Signal, activity, continue_as_new, external, proxy, start_child, workflow
from durable.errors import ChildWorkflowError, RunAlreadyOpenError, RunCancelledError, RunNotFoundError
from tests.killed.world import Scenario, World, effect

word = Signal("word", str)


@activity
async def add(a: int, b: int) -> int:
    await effect()
    return a + b


@workflow
async def kid(n: int) -> int:
    if n < 0:
        raise ValueError(f"negative: {n}")
    return await add(n, 1)


@workflow
async def hears() -> str:
    return await word.receive()


@workflow
async def rounds(left: int, done: int = 0) -> int:
    done += await add(0, 1)
    if left > 1:
        continue_as_new(left - 1, done)
    return done


@workflow
async def family(n: int) -> list[object]:
    child = await start_child(hears)()
    await child.signal(word, "hello")
    *found, told = await asyncio.gather(kid(n), rounds(2), kid(-1), return_exceptions=True)
    assert isinstance(told, ChildWorkflowError)
    return [await child, *found, str(told.__cause__)]


async def raise_children(world: World) -> object:
    return await world.client.execute(family, id="a")(5)


@workflow
async def leaves() -> str:
    """Leaves three open children behind, one of each policy; a fourth cannot be started."""
    await asyncio.gather(
        start_child(hears, id="t")(),
        start_child(hears, id="c", parent_close="cancel")(),
        start_child(hears, id="n", parent_close="abandon")(),
    )
    try:
        await proxy(hears, id="t")()
    except RunAlreadyOpenError:
        return "taken"
    return "no"


async def leave_children(world: World) -> object:
    found = await world.client.execute(leaves, id="a")()
    await world.until_status("t", "terminated")
    await world.until_status("c", "cancelled")
    left = world.client.handle("n", workflow=hears)
    await left.signal(word, "alone")
    return [found, await left.result()]


@workflow
async def patient() -> str:
    try:
        return await hears()
    finally:
        await asyncio.shield(add(1, 2))


async def cancel_a_family(world: World) -> object:
    handle = await world.client.start(patient, id="a")()
    await world.until_event("a", "ChildStarted")
    await handle.cancel()
    with pytest.raises(RunCancelledError):
        await handle.result()
    return [run.status for run in await world.client.list()]


@workflow
async def talks() -> list[str]:
    await external("b").signal(word, "one")
    await external("c").cancel("enough")
    found = list[str]()
    for id_ in ("nobody", "nobody else"):
        try:
            await external(id_).signal(word, "two")
        except RunNotFoundError as error:
            found.append(type(error).__name__)
    return found


async def talk(world: World) -> object:
    heard = await world.client.start(hears, id="b")()
    cancelled = await world.client.start(hears, id="c")()
    found = await world.client.execute(talks, id="a")()
    with pytest.raises(RunCancelledError, match="enough"):
        await cancelled.result()
    return [found, await heard.result()]


# --- a chain that is told something in each of its runs


@workflow
async def listens(so_far: list[str]) -> list[str]:
    """Each run takes one word and continues; "end" ends the chain."""
    text = await word.receive()
    return so_far if text == "end" else continue_as_new([*so_far, text])


@workflow
async def dictates(words: list[str]) -> list[str]:
    child = await start_child(listens, id="b")([])
    for text in words:
        await child.signal(word, text)
    return await child


async def dictate(world: World) -> object:
    return await world.client.execute(dictates, id="a")(["one", "two", "end"])


FAMILIES = [
    Scenario(
        name="children",
        workflows=[family, kid, hears, rounds],
        activities=[add],
        drive=raise_children,
        gives=["hello", 6, 2, "negative: -1"],
        events={
            "ChildStarted": 4,
            "ChildCompleted": 3,
            "ChildFailed": 1,
            "RunContinuedAsNew": 1,
            "ActivityCompleted": 3,
        },
    ),
    Scenario(
        name="children at the close",
        workflows=[leaves, hears],
        drive=leave_children,
        gives=["taken", "alone"],
        events={"ChildStarted": 3, "ChildStartFailed": 1, "RunTerminated": 1, "RunCancelled": 1, "RunCompleted": 2},
    ),
    Scenario(
        name="children that are cancelled",
        workflows=[patient, hears],
        activities=[add],
        drive=cancel_a_family,
        gives=["cancelled", "cancelled"],
        events={"CancelRequested": 2, "ChildCancelRequested": 1, "RunCancelled": 2, "ActivityCompleted": 1},
    ),
    Scenario(
        name="external runs",
        workflows=[talks, hears],
        drive=talk,
        gives=[["RunNotFoundError", "RunNotFoundError"], "one"],
        events={
            "ExternalSignalRequested": 3,
            "ExternalCancelRequested": 1,
            "ExternalDelivered": 2,
            "ExternalFailed": 2,
        },
    ),
    Scenario(
        name="signals to a child that continues as new",
        workflows=[dictates, listens],
        drive=dictate,
        gives=["one", "two"],
        events={"ChildStarted": 1, "RunContinuedAsNew": 2, "ExternalDelivered": 3},
        varies=("SignalReceived",),  # those that a run did not read are part of the next one's start
    ),
]
