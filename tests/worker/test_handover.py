"""Runs of a workflow that their owner does not have go to a worker that does: rolling deployments."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from durable._log import offers_serving
from durable.author import Signal, workflow
from durable.client import Client
from durable.stores import open_store
from durable.testing import assert_replays
from durable.worker import Worker
from tests.scenario_store import STORES, scenario_url
from tests.worker.harness import until_async

TTL_S = 0.5  # partitions are shared out every tenth of a second
first, go = Signal("first", str), Signal("go", str)


@workflow
async def old(n: int) -> int:
    return n


@workflow
async def new(n: int) -> int:
    return 10 * n


@workflow
async def waits() -> str:
    await first.receive()
    return await go.receive()


@workflow
async def listens() -> str:
    await first.receive()
    return await go.receive()


@pytest.fixture(params=STORES)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client.connect(scenario_url(request.param)) as connected:
        yield connected


async def owners(client: Client) -> dict[int, str]:
    return await client.store.holders("default")


async def all_owned(client: Client) -> bool:
    return len(await owners(client)) == client.store.partitions


async def test_a_run_goes_to_the_worker_that_has_its_workflow(client: Client) -> None:
    """Whichever partition it is in, and whoever owns that at first; the others stay shared."""
    async with Worker(client, workflows=[old], lease_ttl=TTL_S), Worker(client, workflows=[old, new], lease_ttl=TTL_S):
        await until_async(lambda: all_owned(client))
        handles = [await client.start(new, id=f"new-{n}")(n) for n in range(30)]
        assert await asyncio.gather(*(handle.result(timeout=20) for handle in handles)) == [10 * n for n in range(30)]
        assert await asyncio.gather(*(client.execute(old, id=f"old-{n}")(n) for n in range(30))) == list(range(30))
        assert not await client.list(stuck=True)
        assert_replays(new, await handles[0].history())


@pytest.mark.parametrize("cache", [None, 0])
async def test_a_run_that_was_stuck_goes_on_once_a_worker_with_its_workflow_comes(
    client: Client, cache: int | None
) -> None:
    """While there is none it is stuck and says so; then its partition is handed over, whatever the balance says."""
    async with Worker(client, workflows=[old], lease_ttl=TTL_S, cache_runs=cache):
        handle = await client.start(new, id="early")(4)

        async def is_stuck() -> bool:
            return bool((await handle.describe()).stuck)

        await until_async(is_stuck)
        assert "no workflow 'new' is registered" in str((await handle.describe()).stuck)
        async with Worker(client, workflows=[old, new], lease_ttl=TTL_S, cache_runs=cache):
            assert await handle.result(timeout=20) == 40
            assert (await handle.describe()).stuck is None


async def test_what_was_sent_to_a_run_comes_along(client: Client) -> None:
    """Messages that the first owner could not deliver are in the inbox for the next one."""
    async with Worker(client, workflows=[old], lease_ttl=TTL_S):
        handle = await client.start(waits, id="w")()
        await handle.signal(first, "sent early")
        await handle.signal(go, "sent early, too")
        async with Worker(client, workflows=[old, waits], lease_ttl=TTL_S):
            assert await handle.result(timeout=20) == "sent early, too"


async def test_two_workers_that_each_have_half_do_not_pass_a_partition_to_and_fro() -> None:
    """Where runs need two workflows that no one worker has, the partition stays, and what cannot go on there says why."""
    async with open_store("memory:", partitions=1) as store:
        client = Client(store)
        async with (
            Worker(client, workflows=[old, waits], lease_ttl=TTL_S),
            Worker(client, workflows=[old, listens], lease_ttl=TTL_S),
        ):
            runs = [await client.start(each, id=each.name)() for each in (waits, listens)]
            for run in runs:  # each begins where its workflow is known: the partition moves, but for the first
                await until_async(run.history)
            for run in runs:
                await run.signal(first, "one")
            await until_async(lambda: client.list(stuck=True))
            (stuck,) = await client.list(stuck=True)
            assert "none has all that runs of this partition need (listens, waits)" in str(stuck.stuck)
            for run in runs:
                await run.signal(go, "on")
            # It is a partition like any other now. The stuck run is tried again, and each round of sharing out comes to the same.
            seen: list[str] = []
            for _ in range(30):
                await store.clock.sleep(TTL_S / 5)
                seen += (await owners(client)).values()
            assert len(set(seen[-20:])) == 1
            async with Worker(client, workflows=[old, waits, listens], lease_ttl=TTL_S):
                assert [await run.result(timeout=20) for run in runs] == ["on", "on"]


async def test_a_worker_that_lacks_a_workflow_takes_the_partition_back_when_the_other_one_is_gone(
    client: Client,
) -> None:
    """Its own runs must not wait for a worker that is not there any more."""
    async with Worker(client, workflows=[old], lease_ttl=TTL_S):
        async with Worker(client, workflows=[old, new], lease_ttl=TTL_S):
            for n in range(20):
                await client.execute(new, id=f"new-{n}")(n)
            offers = await offers_serving(client.store, "default", "default")
            assert any(offer is not None and offer.needs for offer in offers.values())
        assert await asyncio.gather(*(client.execute(old, id=f"old-{n}")(n) for n in range(20))) == list(range(20))
        assert len(await owners(client)) == client.store.partitions
