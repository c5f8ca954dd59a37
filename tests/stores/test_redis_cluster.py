"""A cluster whose slots move and whose primaries die: nothing recorded is lost, and nothing is recorded twice."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from durable import Client, RetryPolicy, Signal, Worker, activity, workflow
from durable.errors import StoreUnavailableError, StoreUrlError, StoreWentBackError
from durable.history import ActivityCompleted, SignalReceived
from durable.stores import Lease, Store, open_store
from durable.stores._protocol import Append
from durable.stores.redis._keys import Keys
from durable.testing.conformance._base import applied, claim, commit, commit_of, document, entry, queued, task
from tests.redis_cluster import RedisCluster, free_port, until
from tests.redis_server import RedisServer, server_binary
from tests.redis_user import USER, documented_user

TTL_MS = 120_000  # longer than any failover: these tests are about the data, not about leases
NAMESPACE = "moving"


def slot_of(partition: int) -> int:
    return Keys(NAMESPACE, partition).slot


def another(cluster: RedisCluster, port: int) -> int:
    return next(each for each in cluster.primaries() if each != port)


@pytest.fixture
async def store(redis_cluster: RedisCluster) -> AsyncIterator[Store]:
    async with open_store(f"{redis_cluster.url}?namespace={NAMESPACE}") as opened:
        yield opened


@pytest.fixture
def mortal(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """Yield the cluster, quick to notice a death; whoever died is brought back."""
    redis_cluster.set("cluster-node-timeout", 2_000)
    yield redis_cluster
    for server in redis_cluster.servers.values():
        server.resume()
        if not server.is_alive:
            server.start()
    redis_cluster.set("cluster-node-timeout", 15_000)
    redis_cluster.wait_until_whole()


@pytest.fixture
def own_port(redis_process: RedisServer) -> Iterator[int]:
    """Yield the port of a server of no cluster."""
    port = free_port()
    server = RedisServer(server_binary(), "--port", str(port), "--bind", "127.0.0.1")
    yield port
    server.close()


async def leases_of(store: Store, *partitions: int) -> list[Lease]:
    await store.begin_session("s-1", "group", b"", TTL_MS)
    return await store.acquire("s-1", "orders", partitions)


def failed_over(cluster: RedisCluster, heir: int) -> None:
    """Wait until the replica has taken its primary's place."""
    until(lambda: cluster.ask(heir, "ROLE")[0] == b"master", "the replica is the primary")


# --- what is looked at when a store is opened


async def test_a_single_url_of_a_cluster_is_refused(redis_cluster: RedisCluster) -> None:
    """It would work for one partition in three."""
    port = redis_cluster.primaries()[0]
    with pytest.raises(StoreUrlError, match=r"part of a cluster: use redis\+cluster://"):
        await open_store(f"redis://127.0.0.1:{port}")


async def test_a_cluster_url_of_a_single_server_is_refused(own_port: int) -> None:
    """It says what to use."""
    with pytest.raises(StoreUrlError, match="no part of a cluster: use redis://"):
        await open_store(f"redis+cluster://127.0.0.1:{own_port}")


async def test_a_cluster_of_which_nobody_answers_is_told() -> None:
    """Each one is named."""
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1: .*127\.0\.0\.1:2: "):
        await open_store("redis+cluster://127.0.0.1:1,127.0.0.1:2")


async def test_a_dead_server_among_those_named_does_no_harm(redis_cluster: RedisCluster) -> None:
    """The others know the whole cluster; the map is asked of a replica as well."""
    hosts = redis_cluster.url.removeprefix("redis+cluster://")
    async with open_store(f"redis+cluster://127.0.0.1:1,{hosts}") as store:
        assert store.partitions == 16


async def test_every_primary_is_looked_at(redis_cluster: RedisCluster) -> None:
    """An eviction policy that loses histories on one server of three is refused, and the server named."""
    port = redis_cluster.primaries()[1]
    redis_cluster.ask(port, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUrlError, match=rf"server at 127\.0\.0\.1:{port}.*allkeys-lru"):
            await open_store(redis_cluster.url)
    finally:
        redis_cluster.ask(port, "CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_user_restricted_to_the_namespace_can_work(
    redis_cluster: RedisCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of the page, copied. Beside what a single server asks for, it may ask for the map of slots."""
    for port in redis_cluster.servers:
        redis_cluster.ask(port, *documented_user())
    url = redis_cluster.url.replace("://", f"://{USER}@")
    async with open_store(f"{url}?namespace=orders") as store:
        (lease,) = await leases_of(store, 3)
        await applied(store, lease, appends=[Append("h", 0, [b"1"])])
        assert store.renew("s-1", TTL_MS, [lease], []).leases == ()
        assert "secret" not in store.url
    assert "may not" not in caplog.text


# --- slots that move


async def test_calls_follow_a_slot_that_has_moved(store: Store, redis_cluster: RedisCluster) -> None:
    """MOVED: commits, reads, watches and the thread that renews go on as if nothing had happened."""
    leases = await leases_of(store, 0, 1, 2)
    watch = store.watch(["inbox/1/orders"])
    async with open_store(store.url) as other:
        for _ in range(2):  # there, and back or on
            redis_cluster.move_slot(slot_of(1), another(redis_cluster, redis_cluster.primary_of(slot_of(1))))
            count = len(await store.read(1, "h"))
            await applied(store, leases[1], appends=[Append("h", count, [b"x"])])
            assert (await asyncio.to_thread(store.renew, "s-1", TTL_MS, leases, [])).leases == ()
            assert await other.read(1, "h") == [b"x"] * (count + 1)
        await other.create(1, document(), [entry()])
    async with asyncio.timeout(10):
        assert await watch.wait(None)
    watch.close()


async def test_a_slot_that_is_half_moved_takes_no_writes_and_loses_none(
    store: Store, redis_cluster: RedisCluster
) -> None:
    """TRYAGAIN: a script needs all its keys at one place. It says that nothing was written; a key alone is found by ASK."""
    (lease,) = await leases_of(store, 1)
    source = redis_cluster.primary_of(slot_of(1))
    target = another(redis_cluster, source)
    await applied(store, lease, appends=[Append("h", 0, [b"1"])])
    redis_cluster.ask(target, "CLUSTER", "SETSLOT", slot_of(1), "IMPORTING", redis_cluster.id_of(source))
    redis_cluster.ask(source, "CLUSTER", "SETSLOT", slot_of(1), "MIGRATING", redis_cluster.id_of(target))
    history = Keys(NAMESPACE, 1).history("h")
    redis_cluster.ask(source, "MIGRATE", "127.0.0.1", target, history, 0, 5_000)
    assert await store.read(1, "h") == [b"1"]
    with pytest.raises(StoreUnavailableError, match=r"being moved.*Nothing was written"):
        await commit(store, lease, appends=[Append("h", 1, [b"2"])])
    with pytest.raises(StoreUnavailableError, match="being moved"):
        await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])
    redis_cluster.move_slot(slot_of(1), target)
    await applied(store, lease, appends=[Append("h", 1, [b"2"])])
    assert await store.read(1, "h") == [b"1", b"2"]


async def _appending(store: Store, lease: Lease, stop: asyncio.Event) -> int:
    """Append record after record, each once, whatever the cluster says; return how many were acknowledged."""
    count, last = 0, ""
    while not stop.is_set():
        sent = commit_of(lease, follows=last, appends=[Append("h", count, [b"%d" % count])])
        while True:
            try:
                assert await store.commit([sent]) == [None]
                break
            except StoreUnavailableError:
                await asyncio.sleep(0.05)
        count, last = count + 1, sent.id
    return count


async def test_slots_move_under_load(store: Store, redis_cluster: RedisCluster) -> None:
    """Every record that was acknowledged is there, once, in its place."""
    leases = await leases_of(store, *range(6))
    for lease in leases:
        await store.create(lease.partition, document(f"d-{lease.partition}", f"n-{lease.partition}"), [])
    stop = asyncio.Event()
    work = [asyncio.create_task(_appending(store, lease, stop)) for lease in leases]

    def move() -> None:
        for partition in (0, 1, 2, 0):
            redis_cluster.move_slot(
                slot_of(partition), another(redis_cluster, redis_cluster.primary_of(slot_of(partition)))
            )

    await asyncio.to_thread(move)
    stop.set()
    counts = await asyncio.gather(*work)
    assert all(counts), counts
    for lease, count in zip(leases, counts, strict=True):
        assert await store.read(lease.partition, "h", limit=1_000_000) == [b"%d" % number for number in range(count)]


# --- primaries that die


async def test_a_primary_dies_under_load(mortal: RedisCluster) -> None:
    """`wait_replicas=1`: what was acknowledged is on the replica, which takes over; the old primary comes back as its replica."""
    async with open_store(f"{mortal.url}?namespace={NAMESPACE}&wait_replicas=1") as store:
        leases = await leases_of(store, *range(6))
        stop = asyncio.Event()
        work = [asyncio.create_task(_appending(store, lease, stop)) for lease in leases]

        def die() -> None:
            port = mortal.primary_of(slot_of(1))
            heir = mortal.replica_of(port)
            mortal.servers[port].kill()
            failed_over(mortal, heir)
            mortal.servers[port].start()
            mortal.wait_until_whole()

        await asyncio.to_thread(die)
        for lease in leases:  # all of them go on
            before = len(await store.read(lease.partition, "h", limit=1_000_000))
            async with asyncio.timeout(30):
                while len(await store.read(lease.partition, "h", limit=1_000_000)) <= before:  # noqa: ASYNC110 - the other task tells only the store
                    await asyncio.sleep(0.02)
        stop.set()
        counts = await asyncio.gather(*work)
        for lease, count in zip(leases, counts, strict=True):
            expected = [b"%d" % number for number in range(count)]
            assert await store.read(lease.partition, "h", limit=1_000_000) == expected
        assert (await asyncio.to_thread(store.renew, "s-1", TTL_MS, leases, [])).leases == ()


async def test_writes_that_the_heir_never_got_are_noticed(mortal: RedisCluster) -> None:
    """Replication is asynchronous: what is lost is refused to be built upon, and can be asked for."""
    async with open_store(f"{mortal.url}?namespace={NAMESPACE}") as store:
        (lease,) = await leases_of(store, 1)
        first = commit_of(lease, follows="", appends=[Append("h", 0, [b"1"])])
        assert await store.commit([first]) == [None]
        port = mortal.primary_of(slot_of(1))
        heir = mortal.replica_of(port)
        mortal.ask(port, "WAIT", 1, 5_000)
        until(lambda: mortal.ask(heir, "ROLE")[4] == mortal.ask(port, "ROLE")[1], "the replica has caught up")
        mortal.servers[heir].pause()
        mortal.ask(port, "CLIENT", "KILL", "TYPE", "replica")
        second = commit_of(lease, follows=first.id, appends=[Append("h", 1, [b"2"])])
        assert await store.commit([second]) == [None]
        mortal.servers[port].kill()
        mortal.servers[heir].resume()
        await asyncio.to_thread(failed_over, mortal, heir)
        third = commit_of(lease, follows=second.id, appends=[Append("h", 2, [b"3"])])
        while True:
            try:
                (answer,) = await store.commit([third])
                break
            except StoreUnavailableError:
                await asyncio.sleep(0.05)
        assert isinstance(answer, StoreWentBackError)
        assert await store.last_commits([lease]) == [first.id]
        assert await store.read(1, "h") == [b"1"]


async def test_tasks_of_the_others_are_claimed_while_a_primary_is_away(mortal: RedisCluster) -> None:
    """What it holds is unknown; what the others have is given out. If they have nothing, the error is told."""
    mortal.set("cluster-node-timeout", 15_000)
    async with open_store(f"{mortal.url}?namespace={NAMESPACE}") as store:
        away = mortal.primary_of(slot_of(1))
        partition = next(each for each in range(16) if mortal.primary_of(slot_of(each)) != away)
        await queued(store, task(), partition=partition)
        mortal.servers[away].kill()
        assert [claimed.task.id for claimed in await claim(store)] == ["t-1"]
        with pytest.raises(StoreUnavailableError, match=r"unknown|Nothing was written"):
            await claim(store)


async def test_a_frozen_primary_does_not_cost_the_leases_of_the_others(mortal: RedisCluster) -> None:
    """Renewals go out to all servers before any answer is waited for. (It is not frozen long enough for a failover.)"""
    mortal.set("cluster-node-timeout", 15_000)
    ttl_ms = 4_000
    async with open_store(f"{mortal.url}?namespace={NAMESPACE}") as store:
        await store.begin_session("s-1", "group", b"", ttl_ms)
        leases = await store.acquire("s-1", "orders", range(16))
        frozen = mortal.primary_of(slot_of(1))
        others = [lease for lease in leases if mortal.primary_of(slot_of(lease.partition)) != frozen]
        assert 0 < len(others) < 16
        store.renew("s-1", ttl_ms, leases, [])
        mortal.servers[frozen].pause()
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="unknown"):
                await asyncio.to_thread(store.renew, "s-1", ttl_ms, leases, [])
        assert None not in await store.last_commits(others)


# --- the engine

note = Signal("note", int)


@activity(retry=RetryPolicy(initial_interval=0.05, max_attempts=None))
async def add(left: int, right: int) -> int:
    return left + right


@workflow
async def adding(number: int) -> int:
    total = number
    for step in range(3):
        total = await add(total, step)
    total = await add(total, await note.receive())
    return await add(total, 1)


def _check(history: Any) -> None:
    events = [recorded.event for recorded in history]
    done = [event.id for event in events if isinstance(event, ActivityCompleted)]
    assert len(done) == len(set(done)) == 5
    assert sum(isinstance(event, SignalReceived) for event in events) == 1


async def _insist(call: Any) -> Any:
    """Repeat a call that is safe to repeat until the cluster takes it."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await call()
            except StoreUnavailableError:
                await asyncio.sleep(0.1)


async def test_runs_survive_the_death_of_a_primary_and_the_move_of_a_slot(
    mortal: RedisCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Two workers; each run ends with the right result, each activity and signal recorded once."""
    url = f"{mortal.url}?namespace={NAMESPACE}&wait_replicas=1"
    with caplog.at_level(logging.ERROR):
        async with (
            Client.connect(url) as client,
            Client.connect(url) as second,
            Worker(client, workflows=[adding], activities=[add]),
            Worker(second, workflows=[adding], activities=[add]),
        ):
            for number in range(30):
                await client.start(adding, id=f"run-{number}")(number)

            def fault() -> None:
                port = mortal.primary_of(slot_of(1))
                heir = mortal.replica_of(port)
                mortal.servers[port].kill()
                failed_over(mortal, heir)
                mortal.servers[port].start()
                mortal.wait_until_whole()
                mortal.move_slot(slot_of(2), another(mortal, mortal.primary_of(slot_of(2))))

            broken = asyncio.create_task(asyncio.to_thread(fault))
            for number in range(30):
                handle = client.handle(f"run-{number}", workflow=adding)
                await _insist(lambda: handle.signal(note, 100, request_id=f"note-{number}"))  # noqa: B023
            await broken
            for number in range(30):
                handle = client.handle(f"run-{number}", workflow=adding)
                assert await _insist(lambda: handle.result(timeout=40)) == number + 104  # noqa: B023
                _check(await handle.history())
    assert "bug" not in caplog.text
