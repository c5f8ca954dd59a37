"""What the Redis store makes of servers as they are: too few rights, full, restarted, not ours."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from durable.errors import (
    NameTakenError,
    StoreFormatError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
    StoreUrlError,
)
from durable.stores import Store, checks_of, open_store
from durable.stores._protocol import Append, DocumentFilter, DocumentUpdate, Due, Outgoing, Reply
from durable.stores.redis._keys import FIXED, NAMED
from durable.testing.conformance._base import (
    INBOX,
    TTL_MS,
    P,
    applied,
    claim,
    commit,
    commit_of,
    contents,
    document,
    entry,
    inbox_of,
    lease_for,
    queued,
    task,
)
from tests.redis_server import RedisServer
from tests.redis_user import NAMESPACE, USER, documented_user


@pytest.fixture(scope="session")
def redis_process(each_redis_process: RedisServer) -> RedisServer:
    """Return each server that is here, one after the other."""
    return each_redis_process


@pytest.fixture
def own_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """Yield a server that the test may kill; it has an append-only file."""
    server = RedisServer(redis_process.binary, "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with open_store(redis_url) as opened:
        yield opened


# --- what is looked at when a store is opened


async def test_the_number_of_partitions_is_fixed_with_the_namespace(redis_url: str) -> None:
    """16 unless said otherwise; another number is refused, and none at all reads what is there."""
    async with open_store(redis_url) as store:
        assert store.partitions == 16
    async with open_store(redis_url) as store:
        assert store.partitions == 16
    with pytest.raises(StoreUrlError, match="the store has 16 partitions, not 4; their number cannot change"):
        await open_store(redis_url, partitions=4)


async def test_namespaces_do_not_see_one_another(redis_server: RedisServer) -> None:
    """A namespace is a prefix of all its keys and channels."""
    async with (
        open_store(f"{redis_server.url}?namespace=one") as one,
        open_store(f"{redis_server.url}?namespace=two&partitions=3") as two,
    ):
        await one.create(P, document(), [entry()])
        assert (one.partitions, two.partitions) == (16, 3)
        assert await two.document(P, id="d-01") is None
        assert await two.inspect.documents(DocumentFilter(), limit=9) == []


async def test_an_eviction_policy_that_may_delete_histories_is_refused(own_server: RedisServer) -> None:
    """Only noeviction will do, unless the URL says otherwise."""
    with own_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(StoreUrlError, match="maxmemory-policy is allkeys-lru"):
            await open_store(own_server.url)
        assert client.keys("*") == []
    async with open_store(f"{own_server.url}?allow_eviction=yes") as store:
        await store.create(P, document(), [entry()])


async def test_missing_persistence_is_warned_about(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server without an append-only file loses what it acknowledged when it dies."""
    with caplog.at_level(logging.INFO, "durable.store"):
        async with open_store(redis_url):
            pass
    assert "no append-only file" in caplog.text


async def test_a_key_of_another_type_is_refused(redis_server: RedisServer) -> None:
    """Nothing is written into a namespace in which somebody else's keys stand."""
    with redis_server.client() as client:
        client.set("{taken:3}:documents", "theirs")
        client.set("{mine:}:namespace", "theirs")
        with pytest.raises(StoreFormatError, match=r"\{taken:3\}:documents' is a string of somebody else"):
            await open_store(f"{redis_server.url}?namespace=taken")
        with pytest.raises(StoreFormatError, match="not ours"):
            await open_store(f"{redis_server.url}?namespace=mine")
        assert client.get("{taken:3}:documents") == b"theirs"


async def test_a_newer_format_is_refused(redis_server: RedisServer) -> None:
    """What a newer version made is not touched."""
    with redis_server.client() as client:
        client.hset("{new:}:namespace", mapping={"partitions": "4", "format": "99"})
    with pytest.raises(StoreFormatError, match="newer version"):
        await open_store(f"{redis_server.url}?namespace=new")


async def test_a_replica_is_refused(own_server: RedisServer, redis_server: RedisServer) -> None:
    """It says where the primary is."""
    with own_server.client() as client:
        client.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreReadOnlyError, match=r"read-only replica of 127\.0\.0\.1:1"):
        await open_store(own_server.url)


async def test_a_wrong_password_is_told(own_server: RedisServer) -> None:
    """It is no error that a repeat could mend, and it does not show the password."""
    with own_server.client() as client:
        client.config_set("requirepass", "right")
    with pytest.raises(StoreReadOnlyError, match="password") as caught:
        await open_store(own_server.url.replace("unix://", "unix://:hunter2@"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(StoreReadOnlyError, match="password"):
        await open_store(own_server.url)
    async with open_store(own_server.url.replace("unix://", "unix://:right@")) as store:
        assert "right" not in store.url


async def test_a_server_that_is_not_there_is_told() -> None:
    """Nothing waits for ever."""
    with pytest.raises(StoreUnavailableError, match=r"redis://127\.0\.0\.1:1"):
        await open_store("redis://127.0.0.1:1")


async def test_a_user_restricted_to_the_namespace_can_do_everything(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of the page, copied. All keys begin with the namespace in its brace, and all channels."""
    with own_server.client() as client:
        client.execute_command(*documented_user())  # type: ignore[no-untyped-call]
    url = own_server.url.replace("unix://", f"unix://{USER}@")
    async with open_store(f"{url}?namespace={NAMESPACE}") as store:
        await _do_everything(store)
        assert {each.level for each in await checks_of(store)} == {"ok"}
    assert caplog.text == ""
    with pytest.raises(StoreReadOnlyError, match="ACL"):
        await open_store(f"{url}?namespace=other")


async def _do_everything(store: Store) -> None:
    """Touch every kind of thing once, and leave nothing but what stays by design."""
    watch = store.watch(["inbox/1/orders"])
    lease = await queued(store, task("t-1"), task("t-2"), task("t-3"))
    await store.create(P, document(), [entry()])
    await store.send(P, entry("e-2"))
    assert await watch.wait(10)
    watch.close()
    first, second = await claim(store, limit=2)
    await store.note_progress("s-1", "t-2", b"50%")
    await store.complete("s-1", first, entry("e-3"))
    await store.unclaim("s-1", [second.task.id])
    read = await inbox_of(store)
    await applied(
        store,
        lease,
        appends=[Append("history", 0, [b"1"])],
        consumed=[each.seq for each in read],
        dues=[Due("k", 1, b"")],
        outgoing=[Outgoing("o", 2, b"")],
        replies=[Reply("y", b"")],
        tasks_removed=["t-2", "t-3"],
    )
    assert await store.take_reply(P, "y") == b""
    await applied(store, lease, dues_removed=["k"], relayed=["o"])
    for id_, closed_ms in ("d-02", 1), ("d-03", 2):
        await store.create(P, document(id_, id_, request=id_), [])
        close = DocumentUpdate(id_, id_, closes=True, closed_ms=closed_ms, attributes={"colour": "red"})
        await applied(store, lease, documents=[close], appends=[Append(id_, 0, [b"1"])])
    assert [each.id for each in await store.read_closed(P, before_ms=9)] == ["d-02", "d-03"]
    await applied(store, lease, forgotten=[("d-02", 1), ("d-03", 3)])
    assert [each.id for each in await store.read_closed(P, before_ms=9)] == ["d-03"]
    assert store.renew("s-1", TTL_MS, [lease], []).leases == ()
    assert await store.sessions("group") != []
    assert await store.holders(INBOX) == {P: "s-1"}
    assert await store.inspect.tasks() == []
    await store.release([lease])
    await store.end_session("s-1")


async def test_no_key_is_left_that_is_not_on_the_list(redis_server: RedisServer) -> None:
    """Every key is one of those that `_keys` names, of the type that it says, and none is of what is over."""
    async with open_store(f"{redis_server.url}?namespace=orders") as store:
        await _do_everything(store)
    with redis_server.client() as client:
        left = {key.decode(): client.type(key).decode() for key in client.keys("*")}
    assert left.pop("{orders:}:namespace") == "hash"
    parts = {key.removeprefix("{orders:1}:"): type_ for key, type_ in left.items()}
    assert {name: type_ for name, type_ in parts.items() if ":" not in name}.items() <= FIXED.items()
    assert {name.partition(":")[0]: type_ for name, type_ in parts.items() if ":" in name}.items() <= NAMED.items()
    stays = {"numbers", "documents", "bodies", "open", "latest", "by_id", "names", "closed", "leases"}
    assert set(parts) == stays | {"attributes", "inbox:orders", "history:history", "history:d-03"}


async def test_the_latest_of_a_name_is_the_one_before_when_it_is_forgotten(store: Store) -> None:
    """`latest` goes back to the one created before, not to the one of the greatest id; entries say when they came."""
    lease = await lease_for(store)
    for id_, closed_ms in ("d-3", 3), ("d-1", 1), ("d-2", 2):
        await store.create(P, document(id_, "a", request=id_), [])
        await applied(store, lease, documents=[DocumentUpdate(id_, "a", closes=True, closed_ms=closed_ms)])
    for id_, closed_ms, latest in ("d-2", 2, "d-1"), ("d-1", 1, "d-3"):
        await applied(store, lease, forgotten=[(id_, closed_ms)])
        found = await store.document(P, name="a")
        assert found is not None
        assert found.id == latest
    await store.create(P, document(), [entry()])
    (came,) = await inbox_of(store)
    assert abs(came.at_ms - store.now_ms()) < 60_000


# --- while it works


async def test_scripts_are_sent_again_after_the_server_forgot_them(store: Store, redis_process: RedisServer) -> None:
    """A restart, a failover or SCRIPT FLUSH empties the cache of scripts: nobody notices, the thread that renews neither."""
    lease = await lease_for(store)
    with redis_process.client() as client:
        client.script_flush()
    await applied(store, lease, appends=[Append("history", 0, [b"1"])])
    with redis_process.client() as client:
        client.script_flush()
    assert store.renew("s-1", TTL_MS, [lease], []).leases == ()
    with redis_process.client() as client:
        client.script_flush()
    commits = [commit_of(lease, appends=[Append("history", number, [b"x"])]) for number in (1, 2, 3)]
    assert await store.commit(commits) == [None] * 3


async def test_a_server_that_is_killed_and_comes_back_has_all_it_acknowledged(own_server: RedisServer) -> None:
    """Calls meanwhile say that their outcome is unknown; a repeat with the same ids is answered as the first time."""
    async with open_store(own_server.url) as store:
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        sent = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])], tasks=[task()])
        assert await store.commit([sent]) == [None]
        before = await contents(store)
        own_server.kill()
        with pytest.raises(StoreUnavailableError, match="unknown"):
            await store.commit([sent])
        with pytest.raises(StoreUnavailableError):
            await asyncio.to_thread(store.renew, "s-1", TTL_MS, [lease], [])
        with pytest.raises(StoreUnavailableError):
            await store.document(P, id="d-01")
        own_server.start()
        assert await store.commit([sent]) == [None]
        assert await contents(store) == before
        assert store.renew("s-1", TTL_MS, [lease], []).leases == ()


async def test_watches_live_on_after_a_restart_and_everyone_looks(own_server: RedisServer) -> None:
    """Nobody knows what happened while the connection was away, so everyone who waits is woken."""
    async with open_store(own_server.url) as store, open_store(own_server.url) as other:
        watch = store.watch(["inbox/1/orders"])
        await store.read(P, "history")
        own_server.kill()
        own_server.start()
        async with asyncio.timeout(20):
            assert await watch.wait(None)
        await other.create(P, document(), [entry()])
        async with asyncio.timeout(20):
            assert await watch.wait(None)
        watch.close()


async def test_what_another_process_does_wakes_who_watches(redis_url: str) -> None:
    """A read after `watch` waits until the server has the subscription: what comes after it is told."""
    async with open_store(redis_url) as store, open_store(redis_url) as other:
        for number in range(20):
            watch = store.watch([f"inbox/{number % 16}/orders"])
            assert await store.document(number % 16, name=f"n-{number}") is None
            new = document(f"d-{number}", f"n-{number}", request=f"r-{number}")
            await other.create(number % 16, new, [entry(f"e-{number}", f"n-{number}")])
            async with asyncio.timeout(10):
                assert await watch.wait(None)
            watch.close()


async def test_a_full_server_writes_nothing(own_server: RedisServer) -> None:
    """`OOM`: refused before anything is written; what makes room again goes on."""
    async with open_store(own_server.url) as store:
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        before = await contents(store)
        with own_server.client() as client:
            client.config_set("maxmemory", "1")
            for _ in range(2):
                with pytest.raises(StoreFullError, match="maxmemory"):
                    await commit(store, lease, appends=[Append("history", 0, [b"1"])], tasks=[task()])
            with pytest.raises(StoreFullError, match="maxmemory"):
                await store.create(P, document("d-02", "other", request="r-2"), [entry("e-2", "other")])
            client.config_set("maxmemory", "0")
        assert await contents(store) == before
        await applied(store, lease, appends=[Append("history", 0, [b"1"])])


async def test_a_foreign_key_under_a_name_of_ours_stops_a_commit_before_it_writes(
    store: Store, redis_url: str, redis_process: RedisServer
) -> None:
    """`WRONGTYPE`: the types of all streams are looked at first."""
    lease = await lease_for(store)
    await store.create(P, document("theirs", "old", request="r-0"), [])
    await applied(store, lease, documents=[DocumentUpdate("theirs", "old", closes=True, closed_ms=1)])
    await store.create(P, document(), [entry()])
    before = await contents(store)
    namespace = redis_url.partition("namespace=")[2]
    with redis_process.client() as client:
        client.set(f"{{{namespace}:{P}}}:history:theirs", "x")
        client.set(f"{{{namespace}:{P}}}:inbox:theirs", "x")
    answer = await commit(store, lease, appends=[Append("theirs", 0, [b"1"])], tasks=[task()])
    assert isinstance(answer, StoreFormatError)
    new = (document("d-02", "other", inbox="theirs", request="r-2"), entry("e-2", "other"))
    assert isinstance(await commit(store, lease, created=[new], tasks=[task()]), StoreFormatError)
    assert isinstance(await commit(store, lease, forgotten=[("theirs", 1)], tasks=[task()]), StoreFormatError)
    assert await contents(store) == before


async def test_a_server_that_turned_into_a_replica_is_left(own_server: RedisServer) -> None:
    """`READONLY`: after a failover the old primary refuses; the outcome is known, and the next try connects anew."""
    async with open_store(own_server.url) as store:
        lease = await lease_for(store)
        with own_server.client() as client:
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(StoreUnavailableError, match="replica"):
                await commit(store, lease, appends=[Append("history", 0, [b"1"])])
            client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]
        await applied(store, lease, appends=[Append("history", 0, [b"1"])])


async def test_a_stream_that_was_deleted_under_us_is_noticed(
    store: Store, redis_url: str, redis_process: RedisServer
) -> None:
    """A commit whose history is gone is refused: never written on top of something else."""
    lease = await lease_for(store)
    await applied(store, lease, appends=[Append("history", 0, [b"1"])])
    namespace = redis_url.partition("namespace=")[2]
    with redis_process.client() as client:
        client.delete(f"{{{namespace}:{P}}}:history:history")
    answer = await commit(store, lease, appends=[Append("history", 1, [b"2"])])
    assert type(answer).__name__ == "WrongSequenceError"


async def test_a_cancelled_call_harms_no_other(store: Store) -> None:
    """Answers are matched to calls by their order, also when a caller no longer waits for its own."""
    lease = await lease_for(store)
    calls = [asyncio.ensure_future(store.read(P, f"h-{number}")) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    await applied(store, lease, appends=[Append("h-3", 0, [b"3"])])
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each).__name__ for each in found] == ["CancelledError", "list"] * 10
    assert await store.read(P, "h-3") == [b"3"]


async def test_text_that_cannot_be_encoded_is_an_error_of_its_caller_alone(store: Store) -> None:
    """Half a surrogate pair is refused before anything is sent; others go on."""
    good = asyncio.ensure_future(store.create(P, document(), [entry()]))
    with pytest.raises(ValueError, match="surrogates"):
        await store.create(P, document("d-\ud800", "n-2", request="r-2"), [entry("e-2", "n-2")])
    assert (await good).id == "d-01"
    with pytest.raises(NameTakenError):
        await store.create(P, document("d-02", request="r-2"), [])


async def test_many_claims_of_a_dead_session_come_back_in_parts(redis_url: str) -> None:
    """No script looks at more than a thousand claims; whoever asks goes on until all are there."""
    async with open_store(redis_url, partitions=2) as store:
        lease = await lease_for(store)
        await applied(store, lease, tasks=[task(f"t-{number:04}", claimed_by="s-1") for number in range(2_500)])
        await store.end_session("s-1")
        await store.begin_session("s-2", "group", b"", TTL_MS)
        claimed = await claim(store, "s-2", limit=3_000)
        assert [each.task.id for each in claimed] == [f"t-{number:04}" for number in range(2_500)]
        assert store.renew("s-2", TTL_MS, [], [each.task.id for each in claimed]).tasks == ()
