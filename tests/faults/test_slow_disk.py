"""A disk that is slow to flush, and a server that is killed: what it had acknowledged and held back is lost, and noticed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from durable.errors import StoreUnavailableError, StoreWentBackError
from durable.stores import open_store
from durable.stores._protocol import Append
from durable.testing.conformance._base import P, commit_of, lease_for
from tests.faults.clocked_server import built
from tests.faults.server_faults import ask
from tests.redis_cluster import until
from tests.redis_server import RedisServer, server_binary


@pytest.mark.parametrize("flushes", ["everysec", "no"])
async def test_what_a_killed_server_held_back(flushes: str, redis_process: RedisServer, tmp_path: Path) -> None:
    """`everysec`: a commit that was acknowledged is gone, so the next one is refused. `no` writes at once, and loses nothing."""
    library = built(tmp_path, "slow_disk")
    server = RedisServer(server_binary(), "--appendonly", "yes", "--appendfsync", flushes)
    try:
        async with open_store(server.url) as store:
            lease = await lease_for(store)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(_start_slow, server, library)
            first = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])])
            while True:  # the first calls find out that the connection is gone
                try:
                    assert await store.commit([first]) == [None]
                    break
                except StoreUnavailableError:
                    continue
            await asyncio.to_thread(until, _flush_is_under_way(server, flushes), "the disk is busy")
            second = commit_of(lease, follows=first.id, appends=[Append("history", 1, [b"2"])])
            assert await store.commit([second]) == [None]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            third = commit_of(lease, follows=second.id, appends=[Append("history", 2, [b"3"])])
            (answer,) = await store.commit([third])
            assert isinstance(answer, StoreWentBackError) == (flushes == "everysec")
            assert await store.read(P, "history") == ([b"1"] if answer else [b"1", b"2", b"3"])
    finally:
        server.close()


def _start_slow(server: RedisServer, library: Path) -> None:
    server.start(env={"LD_PRELOAD": str(library)})


def _flush_is_under_way(server: RedisServer, flushes: str) -> Callable[[], bool]:
    return lambda: flushes == "no" or b"aof_pending_bio_fsync:1" in ask(server, "INFO", "persistence")
