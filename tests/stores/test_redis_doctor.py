"""What people are told of a Redis server: by the log at connect, by `durable doctor`, and by the page on running on it."""

import asyncio
import logging
import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from durable import Client
from durable.cli._settings import Settings
from durable.errors import StoreError, StoreUnavailableError, StoreUrlError
from durable.stores import checks_of, open_store
from durable.stores.redis._keys import FIXED, NAMED
from durable.testing.conformance._base import TTL_MS, P, document, entry
from tests.redis_cluster import free_port
from tests.redis_server import RedisServer
from tests.redis_user import NAMESPACE, PAGE, USER, documented_user


@pytest.fixture(scope="session")
def redis_process(each_redis_process: RedisServer) -> RedisServer:
    """Return each server that is here, one after the other."""
    return each_redis_process


@pytest.fixture
def own_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """Yield a server whose settings the test may change; it has an append-only file."""
    server = RedisServer(redis_process.binary, "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.close()


async def test_the_doctor_is_told_how_the_server_is(own_server: RedisServer) -> None:
    """Every setting is looked at anew: it may have been changed since the store was opened."""
    async with open_store(own_server.url) as store:
        assert {each.check: each.level for each in await checks_of(store)} == {
            "server": "ok",
            "eviction": "ok",
            "durability": "ok",
            "memory": "ok",
            "access": "ok",
        }
        with own_server.client() as client:
            client.config_set("appendonly", "no")
            client.config_set("maxmemory", int(client.info()["used_memory"] * 1.05))
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.replicaof("127.0.0.1", "1")
        found = {each.check: each for each in await checks_of(store)}
    assert {check: each.level for check, each in found.items()} == {
        "server": "problem",
        "eviction": "problem",
        "durability": "warning",
        "memory": "warning",
        "access": "ok",
    }
    assert "read-only replica of 127.0.0.1:1" in found["server"].what
    assert all(each.advice for each in found.values() if each.level != "ok")


async def test_the_doctor_is_told_if_it_may_not_look(own_server: RedisServer) -> None:
    """A user without INFO gets a note, not an error; an eviction that the URL allows is but a warning."""
    with own_server.client() as client:
        client.acl_setuser(
            "worker",
            enabled=True,
            passwords=["+secret"],
            keys=["*"],
            channels=["*"],
            categories=["+@all", "-@dangerous"],
        )
        client.config_set("maxmemory-policy", "allkeys-lru")
    async with open_store(own_server.url.replace("unix://", "unix://worker:secret@")) as store:
        server, access = await checks_of(store)
    assert (server.level, server.check, access.check) == ("note", "server", "access")
    assert "INFO" in server.what
    async with open_store(f"{own_server.url}?allow_eviction=yes") as store:
        assert [each.level for each in await checks_of(store) if each.check == "eviction"] == ["warning"]


@pytest.mark.parametrize(
    ("lacks", "channels", "told"),
    [
        (["-zadd", "-xadd"], "{durable:*", "the user may not do: xadd, zadd"),
        (["-unlink"], "{durable:*", "the user may not do: unlink"),
        ([], "{other:*", "the user may not do: publish"),
        ([], "{durable:*", "the user may do all that is needed"),
    ],
)
async def test_the_doctor_tells_what_the_user_may_not_do(
    own_server: RedisServer, lacks: list[str], channels: str, told: str
) -> None:
    """Whatever the user lacks that a script needs; and to find that out leaves nothing behind."""
    with own_server.client() as client:
        client.acl_setuser(
            "worker",
            enabled=True,
            passwords=["+secret"],
            reset_channels=True,
            keys=["{durable:*"],
            channels=[channels],
            categories=["+@all", "-@dangerous"],
            commands=["+info", *lacks],
        )
    async with open_store(own_server.url.replace("unix://", "unix://worker:secret@")) as store:
        (access,) = [each for each in await checks_of(store) if each.check == "access"]
        assert access.what == told
        assert (access.level == "ok") == (not access.advice) == ("all that is needed" in told)
    with own_server.client() as client:
        assert [key for key in client.keys("*") if b"trial" in key] == []


def test_the_doctor_tries_every_command_that_a_script_uses() -> None:
    """So that a new one is not forgotten."""
    command = re.compile(r"(?:call|many|each_chunk)\('([A-Z]+)'")
    folder = files("durable.stores.redis") / "lua"
    sources = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    tried = set(re.findall(r"'([A-Z]+)'", sources.pop("access.lua")))
    used = {name for source in sources.values() for name in command.findall(source)}
    assert len(used) > 20
    assert used <= tried


@pytest.mark.parametrize(
    ("settings", "level", "told"),
    [
        (["--appendonly", "no"], "WARNING", "no append-only file: .* since its last snapshot is lost; set appendonly yes"),
        (["--appendfsync", "no"], "INFO", "appendfsync no: a power cut may lose .* half a minute"),
        (["--appendfsync", "everysec"], "INFO", "appendfsync everysec: a power cut may lose about the last second"),
        (["--appendfsync", "always"], "INFO", "appendfsync always: what is acknowledged survives a power cut"),
        (["--rename-command", "CONFIG", ""], "WARNING", "does not tell its appendfsync: .* is unknown; allow .*config"),
    ],
)  # fmt: skip
async def test_what_a_server_keeps_is_in_the_log_and_told_by_the_doctor(
    redis_process: RedisServer, settings: list[str], level: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each mode in its words, which are those of the page. A managed service without CONFIG gets a warning."""
    server = RedisServer(redis_process.binary, "--appendonly", "yes", *settings)
    try:
        with caplog.at_level(logging.INFO, "durable.store"):
            async with open_store(server.url) as store:
                (found,) = [each for each in await checks_of(store) if each.check == "durability"]
    finally:
        server.close()
    (line,) = [each for each in caplog.records if "append-only" in each.getMessage()]
    assert (line.levelname, found.level) == (level, "ok" if level == "INFO" else "warning")
    assert re.search(told, line.getMessage())
    assert found.what in line.getMessage()
    assert found.advice in line.getMessage()


async def test_replicas_that_are_waited_for_in_vain_are_told(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Else runs would stand still and nobody knew why."""
    async with open_store(own_server.url):
        pass
    async with open_store(f"{own_server.url}?wait_replicas=2") as store:
        found = [
            each for each in await checks_of(store) if "wait_replicas=2, but 0 replicas are connected" in each.what
        ]
    assert [each.level for each in found] == ["warning"]
    assert found[0].what in caplog.text


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("-xadd", "the user may not do: xadd; allow them in the user's ACL"),
        ("-config", "allow +config|get in the user's ACL"),
        ("-info", "the user may not ask for INFO"),
        ("-subscribe", "the user may not subscribe to channels"),
    ],
)
async def test_what_the_user_may_not_do_is_told_at_connect(
    own_server: RedisServer, lacks: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Before a run is the first to meet it; whoever only looks may go on without."""
    with own_server.client() as client:
        client.execute_command(*documented_user(), lacks)  # type: ignore[no-untyped-call]
    url = own_server.url.replace("unix://", f"unix://{USER}@")
    async with open_store(f"{url}?namespace={NAMESPACE}") as store:
        watch = store.watch(["inbox/1/orders"])
        assert await store.document(P, id="d-01") is None
        watch.close()
    assert caplog.text.count(told) == 1


def test_the_page_lists_every_key() -> None:
    """What stands on a server can be looked up, with its type."""
    (section,) = re.findall(r"^## The keys$(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*) \| ([a-z, ]+) \| ", section, re.MULTILINE)
    listed: dict[str, str] = {}
    for names, types in rows:
        keys = [name.partition(":")[0] for name in re.findall(r"`([^`]+)`", names)]
        kinds = types.split(", ")
        listed |= dict(zip(keys, kinds if len(kinds) > 1 else kinds * len(keys), strict=True))
    assert listed == {name: kind.replace("zset", "sorted set") for name, kind in {**FIXED, **NAMED}.items()}


async def test_a_database_that_is_not_there_is_told(redis_process: RedisServer) -> None:
    """A mistyped URL is no bug of ours."""
    port = free_port()
    server = RedisServer(redis_process.binary, "--port", str(port), "--bind", "127.0.0.1")
    try:
        with pytest.raises(StoreUrlError, match=r"the server has no database 99 .*Nothing was written"):
            await open_store(f"redis://127.0.0.1:{port}/99")
    finally:
        server.close()


async def test_a_call_that_found_no_connection_says_that_nothing_was_written(own_server: RedisServer) -> None:
    """Once the server is gone; a call that was on its way when it went does not know."""
    async with open_store(own_server.url) as store:
        own_server.kill()
        with pytest.raises(StoreUnavailableError, match=r"whether the call was applied is unknown$"):
            await store.create(P, document(), [entry()])
        with pytest.raises(StoreUnavailableError, match=r"connecting to .*\. Nothing was written$"):
            await store.create(P, document(), [entry()])
        with pytest.raises(StoreUnavailableError, match=r"connecting to .*\. Nothing was written$"):
            await asyncio.to_thread(store.renew, "s-1", TTL_MS, [], [])


async def test_a_namespace_with_a_mistyped_name_is_not_made_by_a_look(redis_server: RedisServer) -> None:
    """It would answer that there are no runs, and stay, with a number of partitions that nobody chose."""
    url = f"{redis_server.url}?namespace=tpyo"
    with pytest.raises(StoreUnavailableError, match=r"no namespace 'tpyo' on this server yet.*Nothing was written"):
        await open_store(f"{url}&create=no")
    with pytest.raises(StoreError, match=rf"^{re.escape(url)}: there is no namespace 'tpyo'"):
        await asyncio.to_thread(Settings(url).with_client, _look)
    with redis_server.client() as client:
        assert client.keys("*tpyo*") == []
    async with open_store(url):
        pass
    assert await asyncio.to_thread(Settings(url).with_client, _look) == []


async def _look(client: Client) -> list[str]:
    return [run.workflow_id for run in await client.list()]


async def test_a_full_server_is_a_problem(own_server: RedisServer) -> None:
    """And to remove old runs would not help any more: that is a write as well."""
    async with open_store(own_server.url) as store:
        with own_server.client() as client:
            client.config_set("maxmemory", int(client.info()["used_memory"] * 0.9))
        (memory,) = [each for each in await checks_of(store) if each.check == "memory"]
    assert (memory.level, "raise maxmemory" in memory.advice) == ("problem", True)
