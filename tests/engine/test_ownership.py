"""Partitions that come and go while their owner is in the middle of something."""

import asyncio
from typing import Any

import pytest

from durable._log import partition_of
from durable.author import activity, workflow
from durable.errors import StoreUnavailableError
from durable.retry import NO_RETRY
from tests.engine.env import engines
from tests.engine.faults import FaultyStore


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def chain(n: int) -> int:
    total = 0
    for i in range(n):
        total = await add(total, i)
    return total


async def test_a_lease_that_is_lost_while_another_is_given_up_does_not_end_the_engine() -> None:
    """Two partitions are too many; while the first is being released, the keeper finds that the second is lost."""
    gate: list[asyncio.Future[None]] = []

    def plan(name: str, _number: int) -> Any:
        if name == "release" and not gate:
            gate.append(asyncio.get_running_loop().create_future())
            return gate[0]
        return ""

    async with engines(partitions=4) as env:
        first = await env.begin([chain], [add], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        engine = env.engine(first)
        assert len(engine.leases()) == 4
        await env.begin([chain], [add])
        await env.until(lambda: gate)
        leases = list(engine.leases())
        lost = [lease for lease in leases if lease.partition == 3]
        await env.store.release(lost)
        engine.lost(lost)
        gate[0].set_result(None)
        handle = await env.client.start(chain, id="c")(3)
        assert await env.drive(handle.result()) == 3
        assert not env.live[first][1][0].done()


async def test_an_error_of_ours_in_a_commit_gives_back_the_slots_that_it_had_reserved() -> None:
    """The partitions are taken anew and the runs go on; no slot is lost to them for good."""
    broken = 2

    class Breaking(FaultyStore):
        async def commit(self, commits: Any) -> Any:
            nonlocal broken
            if broken and any(commit.tasks for commit in commits):
                broken -= 1
                raise ZeroDivisionError("a bug of ours")
            return await self._store.commit(commits)

    async with engines(partitions=1) as env:
        session = await env.begin([chain], [add], store=Breaking(env.store, lambda _name, _number: ""))  # type: ignore[arg-type]
        handle = await env.client.start(chain, id="c")(3)
        assert await env.drive(handle.result()) == 3
        assert broken == 0
        assert env.hands(session).reserved == 0


async def test_a_busy_partition_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has a full batch ready at any time leaves the next batch to the others."""
    from durable import _limits

    monkeypatch.setattr(_limits, "BATCH_MESSAGES_MAX", 4)

    @workflow
    async def busy() -> None:
        for _ in range(500):
            await add(1, 1)

    @workflow
    async def quick() -> int:
        return await add(1, 2)

    async with engines("memory:", partitions=2) as env:
        await env.begin([busy, quick], [add])
        ids: dict[int, list[str]] = {0: [], 1: []}
        for n in range(200):
            ids[partition_of(f"r-{n}", 2)].append(f"r-{n}")
        for name in ids[0][:40]:
            await env.client.start(busy, id=name)()
        await env.settle()
        handle = await env.client.start(quick, id=ids[1][0])()
        asked = asyncio.ensure_future(handle.result())
        for _ in range(100):
            await asyncio.sleep(0)
        assert asked.done()
        assert await env.status(ids[0][0]) == "running"


async def test_a_crowd_of_queue_timeouts_is_looked_up_at_once() -> None:
    """A run whose many activities no worker takes: one look at its tasks for all limits that pass together."""
    looks = 0

    @activity(queue="nobody", queue_timeout="10 s", retry=NO_RETRY)
    async def unwanted(n: int) -> int:
        return n

    @workflow
    async def fan_out() -> int:
        outcomes = await asyncio.gather(*(unwanted(n) for n in range(50)), return_exceptions=True)
        return sum(isinstance(outcome, TimeoutError) for outcome in outcomes)

    async with engines(partitions=1) as env:
        await env.begin([fan_out])
        tasks = env.store.inspect.tasks

        async def counted(**wanted: Any) -> Any:
            nonlocal looks
            looks += 1
            return await tasks(**wanted)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(env.store.inspect), "tasks", lambda _self, **wanted: counted(**wanted))
            handle = await env.client.start(fan_out, id="f")()
            assert await env.drive(handle.result()) == 50
        assert 1 <= looks <= 3


async def test_a_queue_timeout_outlives_a_store_that_is_away() -> None:
    """The look at the tasks is made again, and costs no partition."""
    away = 3

    @activity(queue="nobody", queue_timeout="10 s", retry=NO_RETRY)
    async def unwanted() -> None: ...

    @workflow
    async def waits() -> str:
        try:
            await unwanted()
        except TimeoutError:
            return "nobody came"
        return ""

    async with engines(partitions=1) as env:
        session = await env.begin([waits])
        leases = env.engine(session).leases()
        tasks = type(env.store.inspect).tasks

        async def absent(self: Any, **wanted: Any) -> Any:
            nonlocal away
            if away:
                away -= 1
                raise StoreUnavailableError("away")
            return await tasks(self, **wanted)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(env.store.inspect), "tasks", absent)
            handle = await env.client.start(waits, id="w")()
            assert await env.drive(handle.result()) == "nobody came"
        assert away == 0
        assert env.engine(session).leases() == leases
