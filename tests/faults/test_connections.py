"""Connections that end, stop answering or answer late: each call gets its own answer, or is told that the outcome is unknown."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from durable.errors import StoreUnavailableError
from durable.stores import Store, open_store
from durable.stores._protocol import Append
from durable.stores.redis import _clients, _single
from durable.stores.redis._keys import Keys
from durable.testing.conformance._base import (
    TTL_MS,
    P,
    commit,
    commit_of,
    contents,
    document,
    entry,
    lease_for,
)
from tests.faults.proxy import Proxy
from tests.faults.scripts import load_all, marker
from tests.faults.server_faults import answers_while_it_loads, ask, loading
from tests.redis_cluster import until
from tests.redis_server import RedisServer

QUICKLY_S = 0.3


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer take as long as a test has patience for."""
    monkeypatch.setattr(_clients, "TIMEOUT_S", QUICKLY_S)
    monkeypatch.setattr(_single, "RENEW_S", QUICKLY_S)


@pytest.fixture
async def store(impatient: None, proxy: Proxy, redis_server: RedisServer) -> AsyncIterator[Store]:
    load_all(redis_server)
    async with open_store(proxy.url) as opened:
        yield opened


async def test_a_half_open_connection_is_given_up(store: Store, proxy: Proxy) -> None:
    """Nothing comes back on it and nobody says so: after a while the outcome is unknown, and the next call has a new one."""
    lease = await lease_for(store)
    await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])
    watch = store.watch(["inbox/1/orders"])
    await store.read(P, "history")
    sent = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])])
    proxy.go_silent()
    with pytest.raises(StoreUnavailableError, match="unknown"):
        await store.commit([sent])
    with pytest.raises(StoreUnavailableError, match="unknown"):
        await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])
    assert await store.commit([sent]) == [None]
    assert (await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])).leases == ()
    assert await store.read(P, "history") == [b"1"]
    watch.close()


async def test_late_answers_are_nobody_elses(store: Store, proxy: Proxy, redis_server: RedisServer) -> None:
    """A server that was frozen answers what it was asked before: to nobody, since nobody waits any more."""
    lease = await lease_for(store)
    await store.create(P, document(), [entry()])
    redis_server.pause()
    try:
        late = commit(store, lease, appends=[Append("history", 0, [b"1"])])
        calls = (late, store.read(P, "history"), store.document(P, id="d-01"), store.holders("orders"))
        for found in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(found, StoreUnavailableError), found
            assert "Timeout reading from" in str(found)
            assert "unknown" in str(found)
        with pytest.raises(StoreUnavailableError, match="did not answer within"):
            await store.read(P, "history")
    finally:
        redis_server.resume()
    found = await store.document(P, id="d-01")
    assert found is not None
    assert found.id == "d-01"
    assert await store.holders("orders") == {P: "s-1"}
    assert await store.read(P, "history") == [b"1"]  # it ran when the server went on: that is what "unknown" means


async def test_what_was_refused_says_nothing_of_what_came_after(own_server: RedisServer) -> None:
    """`LOADING` for one call, and the next one on the same connection was applied: each gets its own answer."""
    if not answers_while_it_loads(own_server):
        pytest.skip("this server does not answer while it loads")
    async with Proxy(own_server.socket) as proxy, open_store(proxy.url) as store:
        lease = await lease_for(store)
        async with loading(own_server, proxy):
            made = -1
            while made != proxy.connections:  # until one stands: what it takes to make it must not be held
                made = proxy.connections
                with pytest.raises(StoreUnavailableError, match=r"still loading.*Nothing was written"):
                    await store.document(P, name="nobody")
            proxy.held.clear()
            refused = asyncio.ensure_future(store.document(P, name="nobody"))
            await proxy.until_answered(proxy.answers + 1)
        load_all(own_server)
        accepted = asyncio.ensure_future(commit(store, lease, appends=[Append("history", 0, [b"1"])]))
        history = Keys("durable", P).history("history")
        await asyncio.to_thread(until, lambda: ask(own_server, "LLEN", history), "the commit is applied")
        proxy.held.set()
        with pytest.raises(StoreUnavailableError, match="still loading"):
            await refused
        assert await accepted is None
        assert await store.read(P, "history") == [b"1"]


async def test_cuts_in_the_middle_of_much_traffic(store: Store, proxy: Proxy) -> None:
    """Whoever repeats what was cut off gets what an undisturbed call gets; what was on its way is there once."""
    lease = await lease_for(store)
    after = ""
    for number in range(30):
        sent = commit_of(lease, follows=after, appends=[Append("history", number, [b"%d" % number])])
        after = sent.id
        others = [asyncio.ensure_future(store.read(P, "history")) for _ in range(5)]
        if number % 3 == 0:
            proxy.lose_answer(marker("commit"), keep=number)
        elif number % 3 == 1:
            proxy.lose_request(marker("commit"))
        while True:
            try:
                assert await store.commit([sent]) == [None]
                break
            except StoreUnavailableError as error:
                assert "unknown" in str(error)
        for found in await asyncio.gather(*others, return_exceptions=True):
            assert isinstance(found, StoreUnavailableError) or len(found) in (number, number + 1)
    assert proxy.lost == 20
    assert await store.read(P, "history") == [b"%d" % number for number in range(30)]


async def test_nobody_is_asked_for_more_while_the_server_is_away(store: Store, proxy: Proxy) -> None:
    """A call that fails has asked for one connection, and one more if it had to be made anew."""
    before = await contents(store)
    proxy.refuses = True
    proxy.cut()
    for _ in range(3):
        asked = proxy.connections
        with pytest.raises(StoreUnavailableError, match="unknown"):
            await store.read(P, "history")
        assert proxy.connections - asked <= 2
    proxy.refuses = False
    assert await contents(store) == before


async def test_an_old_server_is_refused(proxy: Proxy, redis_server: RedisServer) -> None:
    """It says which version it is and which is needed."""
    with redis_server.client() as client:
        info = client.info("server")
    version = str(info["valkey_version" if "valkey_version" in info else "redis_version"])
    name = "valkey" if "valkey_version" in info else "redis"
    old = "1" + version[1:]
    proxy.replaces[f"{name}_version:{version}".encode()] = f"{name}_version:{old}".encode()
    with pytest.raises(StoreUnavailableError, match=rf"the server is {name} {old}; \d\.\d or newer is needed"):
        await open_store(proxy.url)
    assert contents_of(redis_server) == []


def contents_of(server: RedisServer) -> list[bytes]:
    with server.client() as client:
        return list(client.keys("*"))


async def test_notifications_survive_cuts_at_any_moment(store: Store, proxy: Proxy) -> None:
    """While watches come and go, in the middle of what redis-py writes and reads: who watches is told afterwards all the same."""
    for number in range(60):
        watches = [store.watch([f"inbox/{topic}/orders"]) for topic in range(number % 7 + 1)]
        for _ in range(number % 5):
            await asyncio.sleep(0)
        proxy.cut()
        for _ in range(number % 3):
            await asyncio.sleep(0)
        for watch in watches:
            watch.close()
    watch = store.watch(["inbox/1/orders"])
    async with open_store(proxy.url) as other, asyncio.timeout(20):
        await other.create(P, document(), [entry()])
        assert await watch.wait(None)
    watch.close()


async def test_a_call_right_after_a_lost_connection_has_a_new_one(redis_server: RedisServer) -> None:
    """The one before is told that its outcome is unknown; the sender, still busy with it, tells that to nobody else."""
    async with open_store(redis_server.url) as store:
        for _ in range(5):
            await store.document(P, id="d-01")
            ask(redis_server, "CLIENT", "KILL", "TYPE", "normal")
            with pytest.raises(StoreUnavailableError, match="unknown"):
                await store.document(P, id="d-01")
            assert await store.document(P, id="d-01") is None
