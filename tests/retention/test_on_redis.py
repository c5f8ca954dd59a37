"""What runs leave in Redis: little while they sleep, and nothing of their own once they are removed."""

import re
from collections.abc import AsyncIterator

import pytest

from durable import Client, Signal, Worker, activity, sleep, workflow
from tests.redis_server import RedisServer
from tests.worker.harness import until_async

RUNS = 300
SLEEPING_BYTES_MAX = 2_000  # DESIGN §8
go = Signal("go", int)


@activity
async def double(n: int) -> int:
    return 2 * n


@workflow
async def child(n: int) -> int:
    return await double(n)


@workflow
async def busy(n: int) -> int:
    await sleep("10 ms")
    return await child(n) + await go.receive(timeout="1 day")


@workflow
async def sleeper(n: int) -> int:
    doubled = await double(n)
    await sleep("30 days")
    return doubled


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Client]:
    """Yield a client of a server that holds nothing else."""
    async with Client.connect(f"{redis_server.url}?namespace=kept") as opened:
        yield opened


async def test_of_runs_that_are_removed_no_key_is_left(client: Client, redis_server: RedisServer) -> None:
    """Only what every partition has by itself: its leases, its numbers and its inbox, which is empty."""
    async with Worker(client, workflows=[busy, child], activities=[double]):
        handles = [await client.start(busy, id=f"busy-{n}")(n) for n in range(20)]
        for handle in handles:
            await handle.signal(go, 1)
        assert [await handle.result() for handle in handles] == [2 * n + 1 for n in range(20)]
    pruned = await client.prune(older_than=0)
    assert (pruned.runs, pruned.needed, pruned.failed) == (40, 0, 0)
    with redis_server.client() as server:
        keys = {key.decode() for key in server.keys("*")}
        for key in keys:
            if ":inbox:" in key:
                assert server.xlen(key) == 0
    kinds = {re.sub(r"^\{kept:\d*\}:", "", key) for key in keys}
    assert kinds <= {"namespace", "leases", "numbers", "inbox:default", "inbox:_retention"}, kinds


async def test_a_run_that_sleeps_takes_less_than_two_kilobytes(client: Client, redis_server: RedisServer) -> None:
    """All that is kept of it, everything that the server needs around that included."""
    before = _bytes(redis_server)
    async with Worker(client, workflows=[sleeper], activities=[double]):
        for n in range(RUNS):
            await client.start(sleeper, id=f"order-{n:06}")(n)

        async def asleep() -> bool:
            counts = await client.store.inspect.counts()
            return counts["dues"] >= RUNS

        await until_async(asleep)
    each = (_bytes(redis_server) - before) / RUNS
    assert 200 < each < SLEEPING_BYTES_MAX


def _bytes(redis_server: RedisServer) -> int:
    with redis_server.client() as server:
        return sum(server.memory_usage(key, samples=0) or 0 for key in server.keys("*"))
