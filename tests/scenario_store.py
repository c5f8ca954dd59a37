"""The store that scenarios run on: memory, or what DURABLE_TEST_STORE says (`sqlite`, `redis`, `sentinel`, `cluster`), a fresh one each time.

A scenario is a test of what workflows do, whatever store is below. The suite runs them on memory; `nox -s redis` runs
them again, unchanged, on a server and on a cluster.
"""

import asyncio
import inspect
import os
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from durable.stores import Store
from tests.redis_cluster import RedisCluster, Watched
from tests.redis_server import RedisServer, server_binary

KIND = os.environ.get("DURABLE_TEST_STORE") or "memory"
LOCAL = ["memory", "sqlite"] if KIND == "memory" else [KIND]  # for tests that run on either local store
STORES = ["memory", "sqlite", "redis"] if KIND == "memory" else [KIND]  # for tests that run on every store

EVERYWHERE = [*STORES, "sentinel", "cluster"] if KIND == "memory" else [KIND]

_S = TypeVar("_S", RedisServer, RedisCluster, Watched)
_shared: dict[str, RedisServer | RedisCluster | Watched] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []
_numbers = count(1)


def shared_server() -> RedisServer:
    """Return a server that all tests of this process share. The test is skipped if there is none."""
    return _kept("redis", RedisServer)


def shared_cluster() -> RedisCluster:
    """Return a cluster that all tests of this process share. The test is skipped if there is no server."""
    return _kept("cluster", RedisCluster)


def shared_service() -> Watched:
    """Return a primary with sentinels that all tests of this process share. The test is skipped if there is no server."""
    return _kept("sentinel", Watched)


def _kept(name: str, make: Callable[[str], _S]) -> _S:
    if name not in _shared:
        _shared[name] = make(server_binary())
    return cast(_S, _shared[name])


def fresh_namespace(server: RedisServer | RedisCluster | Watched) -> str:
    """Return the URL of a namespace that nobody has used."""
    return f"{server.url}?namespace=test-{next(_numbers)}"


def scenario_url(kind: str = KIND) -> str:
    """Return the URL of a store that holds nothing."""
    if kind == "memory":
        return "memory:"
    if kind == "sqlite":
        _folders.append(tempfile.TemporaryDirectory(prefix="durable-scenario-"))
        return f"sqlite:///{Path(_folders[-1].name, 'store.db')}?synchronous=normal"
    if kind == "redis":
        return fresh_namespace(shared_server())
    if kind == "sentinel":
        return fresh_namespace(shared_service())
    if kind == "cluster":
        return fresh_namespace(shared_cluster())
    raise ValueError(f"DURABLE_TEST_STORE: expected memory, sqlite, redis, sentinel or cluster, got {kind!r}")


def close_all() -> None:
    """End the servers, and remove the files."""
    for server in _shared.values():
        server.close()
    for folder in _folders:
        folder.cleanup()
    _shared.clear()
    _folders.clear()


class CountedStore:
    """Passes everything on to a store, and knows how many of its calls are under way: what waits for them waits no longer than they take."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.begun = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if inspect.iscoroutinefunction(found) and name != "close" else found

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.begun += 1
            self._under_way += 1
            self._idle.clear()
            try:
                return await method(*args, **kwargs)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()

        return call

    async def wait_until_idle(self) -> None:
        """Return once no call is under way."""
        await self._idle.wait()
