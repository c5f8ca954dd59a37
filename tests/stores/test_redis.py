"""The Redis store keeps every promise of the store protocol."""

from collections.abc import AsyncIterator

import pytest

from durable.stores import Store, open_store
from durable.testing._clock import ManualClock
from durable.testing.conformance import StoreSuite
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_process(each_redis_process: RedisServer) -> RedisServer:
    """Return each server that is here, one after the other."""
    return each_redis_process


class TestRedisStore(StoreSuite):
    """A server that holds nothing at the start of each test."""

    @pytest.fixture
    async def store(self, clock: ManualClock, redis_server: RedisServer) -> AsyncIterator[Store]:
        async with open_store(f"{redis_server.url}?partitions=4", clock=clock) as store:
            yield store

    async def reopen(self, store: Store, clock: ManualClock) -> Store:
        await store.close()
        return await open_store(store.url, clock=clock)


class TestRedisClusterStore(StoreSuite):
    """A cluster that holds nothing at the start of each test; its four partitions are on all three primaries."""

    @pytest.fixture
    async def store(self, clock: ManualClock, redis_cluster: RedisCluster) -> AsyncIterator[Store]:
        async with open_store(f"{redis_cluster.url}?partitions=4", clock=clock) as store:
            yield store

    async def reopen(self, store: Store, clock: ManualClock) -> Store:
        await store.close()
        return await open_store(store.url, clock=clock)
