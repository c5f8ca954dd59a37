"""Sentinel: the store follows the primary of a service."""

import asyncio
import re
from collections.abc import Iterator

import pytest
import redis

from durable import Client, Worker, activity, workflow
from durable.errors import StoreUnavailableError, StoreUrlError
from durable.history import ActivityCompleted
from durable.stores import open_store
from durable.stores._protocol import Append
from durable.testing.conformance._base import commit_of, document, entry
from tests.redis_cluster import Watched, until
from tests.redis_server import RedisServer, server_binary

TTL_MS = 120_000


@pytest.fixture
def watched(redis_process: RedisServer) -> Iterator[Watched]:
    """Yield a primary and its replica, watched by three sentinels."""
    servers = Watched(server_binary())
    yield servers
    servers.close()


def failed_over(watched: Watched) -> None:
    watched.servers[watched.primary].kill()
    until(lambda: is_primary(watched), "the replica is the primary")


def is_primary(watched: Watched) -> bool:
    try:
        return bool(watched.ask(watched.replica, "ROLE")[0] == b"master")
    except redis.ConnectionError:
        return False  # sentinels end the connections of the one that they promote


async def test_the_store_follows_the_primary(watched: Watched) -> None:
    """Commits, watches and the thread that renews go on with the new one; what was acknowledged is there, once.

    A server that comes back is a replica, and is not written to.
    """
    async with open_store(watched.url) as store, open_store(watched.url) as other:
        await store.begin_session("s-1", "group", b"", TTL_MS)
        (lease,) = await store.acquire("s-1", "orders", [1])
        watch = store.watch(["inbox/1/orders"])
        first = commit_of(lease, follows="", appends=[Append("h", 0, [b"1"])])
        assert await store.commit([first]) == [None]
        watched.ask(watched.primary, "WAIT", 1, 5_000)
        await asyncio.to_thread(failed_over, watched)
        second = commit_of(lease, follows=first.id, appends=[Append("h", 1, [b"2"])])
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await store.commit([second]) == [None]
                    break
                except StoreUnavailableError as error:
                    assert re.search(r"is unknown$|Nothing was written", str(error))
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            while True:
                try:
                    assert (await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])).leases == ()
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.05)
            assert await watch.wait(None)
            while True:
                try:
                    await other.create(1, document(), [entry()])
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.05)
            assert await watch.wait(None)
        watch.close()
        assert await other.read(1, "h") == [b"1", b"2"]
        watched.servers[watched.primary].start()
        await asyncio.to_thread(
            until, lambda: watched.ask(watched.primary, "ROLE")[0] == b"slave", "the old primary is a replica"
        )
        third = commit_of(lease, follows=second.id, appends=[Append("h", 2, [b"3"])])
        assert await store.commit([third]) == [None]


async def test_a_service_that_no_sentinel_knows_is_told(watched: Watched) -> None:
    """The error names the service, and what each sentinel said."""
    url = watched.url.replace("/orders", "/other")
    with pytest.raises(
        StoreUnavailableError, match=r"no sentinel names the primary of 'other' .*1: .*it knows no service"
    ):
        await open_store(url)


async def test_sentinels_that_are_not_there_are_told() -> None:
    """Nothing waits for ever."""
    with pytest.raises(StoreUnavailableError, match=r"no sentinel names the primary of 'orders' \(127\.0\.0\.1:1: "):
        await open_store("redis+sentinel://127.0.0.1:1/orders")


async def test_a_url_without_a_service_is_refused() -> None:
    """It says what is missing."""
    with pytest.raises(StoreUrlError, match="names no service"):
        await open_store("redis+sentinel://127.0.0.1:1")


@activity
async def double(number: int) -> int:
    return 2 * number


@workflow
async def quadruple(number: int) -> int:
    return await double(await double(number))


async def test_runs_survive_a_failover(watched: Watched) -> None:
    """The same program as on a single server, by another URL; each activity is recorded once."""
    async with Client.connect(watched.url) as client, Worker(client, workflows=[quadruple], activities=[double]):
        for number in range(20):
            await client.start(quadruple, id=f"run-{number}")(number)
        watched.ask(watched.primary, "WAIT", 1, 5_000)
        broken = asyncio.create_task(asyncio.to_thread(failed_over, watched))
        await broken
        for number in range(20):
            handle = client.handle(f"run-{number}", workflow=quadruple)
            async with asyncio.timeout(40):
                while True:
                    try:
                        assert await handle.result() == 4 * number
                        history = await handle.history()
                        break
                    except StoreUnavailableError:
                        await asyncio.sleep(0.1)
            done = [each.event.id for each in history if isinstance(each.event, ActivityCompleted)]
            assert len(done) == len(set(done)) == 2
