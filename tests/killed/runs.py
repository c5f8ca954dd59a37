"""Scenarios of what becomes of runs: chains, time limits, ids, attributes, forks, and runs that are reopened."""

from __future__ import annotations

import pytest

from durable.author import Attribute, Signal, Update, activity, continue_as_new, info, upsert_attributes, workflow
from durable.errors import (
    RunAlreadyOpenError,
    RunFailedError,
    RunTerminatedError,
    RunTimedOutError,
    WorkflowIdUsedError,
)
from tests.killed.world import Scenario, World, effect

add = Update("add", int, int)
go = Signal("go", int)
customer = Attribute("customer", str)
total = Attribute("total", int)
WAIT = "10 minutes"


@activity
async def work(n: int) -> int:
    await effect()
    return n


# --- chains


@workflow
async def sums(so_far: int) -> int:
    @add.handler
    def on_add(n: int) -> int:
        nonlocal so_far
        so_far += n
        return so_far

    value = await go.receive()
    if value == 0:
        return so_far
    return continue_as_new(so_far + await work(value))


async def chain(world: World) -> object:
    handle = await world.client.start(sums, id="a", memo={"note": "kept"})(0)
    assert await handle.update(add, 10, update_id="u-1", timeout=WAIT) == 10
    for n in (1, 2, 0):  # the later ones are there before their run is, and go along unread
        await handle.signal(go, n, request_id=f"r-{n}")
        await handle.signal(go, n, request_id=f"r-{n}")
    found = await handle.result()
    assert await handle.update(add, 10, update_id="u-1", timeout=WAIT) == 10, "the id is still known"
    return [found, (await world.client.handle("a").describe()).memo["note"]]


# --- time limits


@workflow(timeout="5 s")
async def stays() -> int:
    await work(1)
    return await go.receive()


@workflow
async def goes_on(n: int) -> int:
    return continue_as_new(await go.receive())


async def time_out(world: World) -> object:
    run = await world.client.start(stays, id="a")()
    chain = await world.client.start(goes_on, id="b", execution_timeout="5 s")(0)
    await chain.signal(go, 1)
    for handle in (run, chain):
        with pytest.raises(RunTimedOutError):
            await handle.result()
    return "timed out"


# --- ids


@workflow
async def owner(name: str) -> str:
    await work(1)
    await go.receive()
    return name


async def take_ids(world: World) -> object:
    start, found = world.client.start, list[str]()
    first = await start(owner, id="a", request_id="r-1")("first")
    await start(owner, id="a", request_id="r-1")("first")
    with pytest.raises(RunAlreadyOpenError):
        await start(owner, id="a")("second")
    same = await start(owner, id="a", on_conflict="use_existing")("second")
    assert same.run_id == first.run_id
    await world.until_event("a", "ActivityScheduled")
    taken = await start(owner, id="a", on_conflict="terminate_existing", request_id="r-3")("third")
    again = await start(owner, id="a", on_conflict="terminate_existing", request_id="r-3")("third")
    assert again.run_id == taken.run_id
    with pytest.raises(RunTerminatedError):
        await first.result()
    await taken.signal(go, 1)
    found.append(await taken.result())
    for reuse in ("never", "after_failure"):
        with pytest.raises(WorkflowIdUsedError):
            await start(owner, id="a", reuse=reuse)("fourth")
    last = await start(owner, id="a")("last")
    await last.signal(go, 1)
    return [*found, await last.result()]


# --- attributes


@workflow
async def pays(rounds: int) -> int:
    upsert_attributes({total: 0})
    for n in range(1, rounds + 1):
        await work(n)
        upsert_attributes({total: n, customer: None if n == 2 else f"c{n}"})
    return info().attributes[total]


async def describe(world: World) -> object:
    handle = await world.client.start(pays, id="a", attributes={customer: "ada"}, memo={"note": "x"})(3)
    assert [run.run_id for run in await world.client.list(attributes=[customer.exists()])] in ([handle.run_id], [])
    found = await handle.result()
    run = await handle.describe()
    (listed,) = await world.client.list(attributes=[total >= 3, customer == "c3"])
    assert listed.run_id == handle.run_id
    return [found, dict(run.attributes), dict(run.memo)]


# --- forks, and runs that are reopened


@workflow
async def thrice(n: int) -> int:
    for _ in range(3):
        n = await work(n + 1)
    return n


async def fork(world: World) -> object:
    source = await world.client.start(thrice, id="a")(0)
    assert await source.result() == 3
    forked = await source.fork(at=4, id="b", request_id="r")
    again = await source.fork(at=4, id="b", request_id="r")
    assert again.run_id == forked.run_id
    origin = (await forked.describe()).forked_from
    assert origin is not None
    return [await forked.result(), origin.workflow_id, origin.event]


@workflow(name="fragile")
async def broken() -> int:
    done = await work(1)
    await go.receive()
    raise ValueError(f"broken after {done}")


@workflow(name="fragile")
async def mended() -> int:
    done = await work(1)
    return done + await go.receive() + await work(2)


async def reopen(world: World) -> object:
    handle = await world.client.start(broken, id="a")()
    await handle.signal(go, 5)
    with pytest.raises(RunFailedError, match="broken after 1"):
        await handle.result()
    await world.serve(mended)
    await handle.retry(timeout=WAIT, request_id="r")
    found = await handle.result()
    return [found, (await handle.describe()).retries]


RUNS = [
    Scenario(
        name="continue as new",
        workflows=[sums],
        activities=[work],
        drive=chain,
        gives=[13, "kept"],
        events={
            "RunStarted": 3,
            "RunContinuedAsNew": 2,
            "RunCompleted": 1,
            "UpdateCompleted": 1,
            "ActivityCompleted": 2,
        },
        varies=("SignalReceived",),  # those that a run did not read are part of the next one's start
    ),
    Scenario(
        name="timeouts of runs and chains",
        workflows=[stays, goes_on],
        activities=[work],
        drive=time_out,
        gives="timed out",
        events={"RunStarted": 3, "RunContinuedAsNew": 1, "RunTimedOut": 2, "ActivityCompleted": 1},
    ),
    Scenario(
        name="ids, and runs that give way",
        workflows=[owner],
        activities=[work],
        drive=take_ids,
        gives=["third", "last"],
        events={"RunStarted": 3, "RunTerminated": 1, "RunCompleted": 2},
        varies=("ActivityCompleted",),  # the first run may give way before its activity is done, or after
    ),
    Scenario(
        name="attributes and memo",
        workflows=[pays],
        activities=[work],
        drive=describe,
        gives=[3, {"total": 3, "customer": "c3"}, {"note": "x"}],
        events={"AttributesUpserted": 4, "ActivityCompleted": 3},
    ),
    Scenario(
        name="forks",
        workflows=[thrice],
        activities=[work],
        drive=fork,
        gives=[3, "a", 4],
        events={"RunForked": 1, "RunCompleted": 2, "ActivityCompleted": 6},
    ),
    Scenario(
        name="runs that are reopened",
        workflows=[broken],
        activities=[work],
        drive=reopen,
        gives=[8, 1],
        events={"RunReopened": 1, "RunFailed": 1, "RunCompleted": 1, "ActivityScheduled": 2},
    ),
]
