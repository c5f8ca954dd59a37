"""Forks of runs with open updates: what was accepted up to the point is carried out by the fork too, what came later is not there."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from durable import Handle, Query, Signal, Update, workflow
from durable.history import UpdateAccepted, UpdateCompleted
from durable.testing import TestEnvironment, assert_replays
from tests.scenario_store import STORES, scenario_url

add = Update("add", int, int)
late = Update("late", int, int)
total = Query("total", int)
go = Signal("go")
turn = Signal("turn")


@workflow
async def account(start: int) -> int:
    state = start

    @total.handler
    def tell() -> int:
        return state

    @add.handler
    async def on_add(n: int) -> int:
        nonlocal state
        await turn.receive()
        state += n
        return state

    await go.receive()

    @late.handler
    def on_late(n: int) -> int:
        return -n

    await go.receive()
    return state


@pytest.fixture(params=[*STORES, f"{STORES[0]}, no cache"])
async def env(request: pytest.FixtureRequest) -> AsyncIterator[TestEnvironment]:
    kind, _, no_cache = request.param.partition(", ")
    cache = 0 if no_cache else None
    async with TestEnvironment(workflows=[account], store=scenario_url(kind), cache_runs=cache) as opened:
        yield opened


async def at_of(handle: Handle[int], kind: type, update_id: str) -> int:
    """Return the number of the event of type `kind` of an update."""
    return next(
        r.seq
        for r in await handle.history()
        if isinstance(r.event, kind) and getattr(r.event, "update", "") == update_id
    )


async def counted(handle: Handle[int]) -> tuple[int, int]:
    """Return how many updates were accepted and completed by the history."""
    events = [r.event for r in await handle.history()]
    return sum(isinstance(e, UpdateAccepted) for e in events), sum(isinstance(e, UpdateCompleted) for e in events)


async def turns(handle: Handle[int], count: int) -> None:
    """Let `count` updates go on."""
    for _ in range(count):
        await handle.signal(turn)


async def ends(handle: Handle[int], result: int) -> None:
    await handle.signal(go)
    await handle.signal(go)
    assert await handle.result() == result
    assert_replays(account, await handle.history())


async def test_what_is_open_at_the_point_is_carried_out_by_both(env: TestEnvironment) -> None:
    """One under way and one that waits for its turn; each run has results of its own, under the same ids."""
    source = await env.client.start(account, id="source")(0)
    first = await source.start_update(add, 1, update_id="u-1")
    second = await source.start_update(add, 2, update_id="u-2")
    fork = await source.fork(at=await at_of(source, UpdateAccepted, "u-2"), id="fork")
    await turns(fork, 3)
    assert await fork.update(add, 100) == 103  # its turn comes after theirs
    await turns(source, 2)
    assert [await first.result(), await second.result()] == [1, 3]
    mine = [fork.update_handle("u-1", add), fork.update_handle("u-2", add)]
    assert [await handle.result() for handle in mine] == [1, 3]
    assert await fork.update(add, 1, update_id="u-1") == 1, "a repeat is known"
    assert (await counted(source), await counted(fork)) == ((2, 2), (3, 3))
    await ends(source, 3)
    await ends(fork, 103)


async def test_one_that_is_completed_at_the_point_is_not_carried_out_again(env: TestEnvironment) -> None:
    """Its result is the recorded one; the one that waited for its turn has begun at the point, and is done anew from there."""
    source = await env.client.start(account, id="source")(0)
    first = await source.start_update(add, 1, update_id="u-1")
    second = await source.start_update(add, 2, update_id="u-2")
    await turns(source, 2)
    assert [await first.result(), await second.result()] == [1, 3]
    await ends(source, 3)
    fork = await source.fork(at=await at_of(source, UpdateCompleted, "u-1"), id="fork")
    assert await fork.update(add, 9, update_id="u-1") == 1
    await turns(fork, 1)
    assert await fork.update_handle("u-2", add).result() == 3
    assert await counted(fork) == (2, 2)
    await ends(fork, 3)


async def test_one_that_nobody_had_accepted_is_not_in_the_fork(env: TestEnvironment) -> None:
    """It waits for its handler in the source's inbox, and no history has it: sent to the fork, it is one of its own."""
    source = await env.client.start(account, id="source")(5)
    waiting = asyncio.create_task(source.update(late, 1, update_id="u-1"))
    assert await source.query(total) == 5
    fork = await source.fork(id="fork")
    await source.signal(go)
    assert await waiting == -1
    await fork.signal(go)
    assert await fork.update(late, 2, update_id="u-1") == -2
    await source.signal(go)
    await fork.signal(go)
    assert [await source.result(), await fork.result()] == [5, 5]
    assert (await counted(source), await counted(fork)) == ((1, 1), (1, 1))
    assert_replays(account, await fork.history())


async def test_one_that_its_source_never_ended_is_ended_by_the_fork(env: TestEnvironment) -> None:
    """The source was terminated with the update open."""
    source = await env.client.start(account, id="source")(0)
    await source.start_update(add, 4, update_id="u-1")
    await source.terminate()
    fork = await source.fork(id="fork")
    await turns(fork, 1)
    assert await fork.update_handle("u-1", add).result() == 4
    await ends(fork, 4)
    assert await counted(source) == (1, 0)
