"""Somebody deletes a key of ours, or puts one of theirs in its place: what it held is lost, and nothing else stops for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from durable import Client, Worker, activity, sleep, workflow
from durable.stores import open_store
from durable.stores._protocol import Due, Outgoing
from durable.stores.redis._keys import FIXED, NAMED, Keys
from durable.testing.conformance._base import (
    INBOX,
    TTL_MS,
    P,
    applied,
    claim,
    document,
    entry,
    inbox_of,
    lease_for,
    queued,
    task,
)
from tests.faults.proxy import Proxy
from tests.faults.server_faults import ask
from tests.redis_server import RedisServer

LEASE_S = 0.5
ASKED_A_SECOND_MAX = 250  # requests and connections of two workers and a client; a hot loop makes thousands


@activity
async def add(left: int, right: int) -> int:
    return left + right


@workflow
async def adding(number: int) -> int:
    total = await add(number, 1)
    await sleep(0.02)
    return await add(total, 1)


@workflow
async def sleeping() -> None:
    await sleep(3600)


@asynccontextmanager
async def _workers(url: str, namespace: str) -> AsyncIterator[Client]:
    """Yield a client of a worker with an engine, and of one for activities alone, in the middle of their work."""
    async with (
        Client.connect(f"{url}?namespace={namespace}&partitions=1") as client,
        Client.connect(f"{url}?namespace={namespace}") as other,
        Worker(client, workflows=[adding, sleeping], lease_ttl=LEASE_S, grace=1),
        Worker(other, activities=[add], lease_ttl=LEASE_S, grace=1),
    ):
        await client.start(sleeping, id="before")()
        assert await client.execute(adding, id="first")(1) == 3
        for number in range(4):
            await client.start(adding, id=f"under-way-{number}")(number)
        yield client


def _keys(server: RedisServer, namespace: str, name: str) -> list[bytes]:
    """Return the keys of one kind that are there."""
    return [*ask(server, "KEYS", f"{{{namespace}:0}}:{name}"), *ask(server, "KEYS", f"{{{namespace}:0}}:{name}:*")]


async def _goes_on_without(server: RedisServer, name: str) -> None:
    async with _workers(server.url, f"without-{name}") as client:
        for key in _keys(server, f"without-{name}", name):
            ask(server, "DEL", key)
        async with asyncio.timeout(30):
            assert await client.execute(adding, id="second")(2) == 4


async def _goes_on_after(server: RedisServer, name: str) -> None:
    async with Proxy(server.socket) as proxy, _workers(proxy.url, f"theirs-{name}") as client:
        clock, keys = client.store.clock, _keys(server, f"theirs-{name}", name)
        for key in keys:
            ask(server, "DEL", key)
            ask(server, "SET", key, "theirs")
        began_s, before = clock.monotonic(), proxy.requests + proxy.connections
        await clock.sleep(2 * LEASE_S)  # they stand there for a while
        asked = (proxy.requests + proxy.connections - before) / (clock.monotonic() - began_s)
        assert asked < ASKED_A_SECOND_MAX
        for key in keys:
            ask(server, "DEL", key)
        async with asyncio.timeout(30):
            assert await client.execute(adding, id="second")(2) == 4


async def _all_go_on(
    goes_on: Callable[[RedisServer, str], Awaitable[None]], names: Sequence[str], server: RedisServer
) -> None:
    outcomes = await asyncio.gather(*(goes_on(server, name) for name in names), return_exceptions=True)
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise AssertionError(f"{name}: {outcome!r}") from outcome


async def test_a_deleted_key_costs_what_it_held(redis_server: RedisServer) -> None:
    """Whichever it is, the workers live on, and what is started afterwards ends."""
    await _all_go_on(_goes_on_without, [*FIXED, *NAMED], redis_server)


async def test_a_key_of_theirs_in_place_of_ours_is_no_hot_loop(redis_server: RedisServer) -> None:
    """`WRONGTYPE` again and again, at a human pace; once the key is removed, work goes on."""
    names = ("inbox", "history", "documents", "leases", "live", "states", "ready", "dues", "outgoing", "entries")
    await _all_go_on(_goes_on_after, names, redis_server)


async def test_numbers_go_on_where_the_inbox_is(redis_server: RedisServer) -> None:
    """Without `numbers` the next entry would get a number that is over, and be refused when half of its call was written."""
    async with open_store(redis_server.url) as store:
        await store.create(P, document(), [entry(), entry("e-2"), entry("e-3")])
        ask(redis_server, "DEL", *_keys(redis_server, "durable", "numbers"), Keys("durable", P).fixed["numbers"])
        await store.create(P, document("d-02", "other", request="r-2"), [entry("e-4", "other")])
        await store.send(P, entry("e-5"))
        read = await inbox_of(store)
        assert [(each.seq, each.id) for each in read] == [(number, f"e-{number}") for number in range(1, 6)]


async def test_tasks_of_which_a_part_is_gone_are_dropped(redis_server: RedisServer) -> None:
    """They cannot be run; whoever asks for work gets the others."""
    for name in ("tasks", "states"):
        async with open_store(f"{redis_server.url}?namespace={name}") as store:
            lease = await queued(store, task("t-1"), task("t-2", claimed_by="s-1"), task("t-3"))
            keys = Keys(name, P)
            ask(redis_server, "HDEL", keys.fixed[name], "t-1", "t-2")
            await store.end_session("s-1")
            await store.begin_session("s-2", "group", b"", TTL_MS)
            assert [each.task.id for each in await claim(store, "s-2")] == ["t-3"]
            assert await claim(store, "s-2") == []
            assert [each.task.id for each in await store.inspect.tasks()] == ["t-3"]
            assert lease.partition == P


async def test_what_is_due_or_going_out_without_its_data_is_told(redis_server: RedisServer) -> None:
    """There is nothing to carry out; the owner says so, and removes what is due."""
    async with open_store(redis_server.url) as store:
        lease = await lease_for(store)
        await applied(store, lease, dues=[Due("k", 1, b"data")], outgoing=[Outgoing("o", 2, b"data")])
        keys = Keys("durable", P)
        ask(redis_server, "DEL", keys.dues(INBOX)[1], keys.outgoing(INBOX)[1])
        assert await store.read_dues(lease, until_ms=2, limit=9) == [Due("k", 1, b"")]
        assert await store.read_outgoing(lease, limit=9) == [Outgoing("o", 0, b"")]
