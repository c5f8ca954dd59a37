"""What `durable doctor` is told of a Redis server, and what is in it."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from durable.stores import checks_of, open_store
from tests.redis_server import RedisServer


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
