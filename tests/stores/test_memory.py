"""The memory store keeps every promise of the store protocol."""

from collections.abc import AsyncIterator

import pytest

from durable.stores import Store, open_store
from durable.stores._protocol import Append
from durable.testing._clock import ManualClock
from durable.testing.conformance import StoreSuite
from durable.testing.conformance._base import P, applied, lease_for


class TestMemoryStore(StoreSuite):
    """A store of its own for each test."""

    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
        async with open_store("memory:", clock=clock, partitions=4) as store:
            yield store


class TestSharedMemoryStore(StoreSuite):
    """A named one lives on in the process after its handles are closed."""

    @pytest.fixture
    async def store(self, clock: ManualClock, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
        async with open_store(f"memory:{request.node.nodeid}?partitions=4", clock=clock) as store:
            yield store

    async def reopen(self, store: Store, clock: ManualClock) -> Store:
        await store.close()
        return await open_store(store.url, clock=clock)


async def test_each_unnamed_store_is_another() -> None:
    """Two stores opened as "memory:" share nothing."""
    async with open_store("memory:") as one, open_store("memory:") as two:
        await applied(one, await lease_for(one), appends=[Append("history", 0, [b"1"])])
        assert await one.read(P, "history") == [b"1"]
        assert await two.read(P, "history") == []


async def test_stores_of_one_name_are_the_same() -> None:
    """Two handles opened as "memory:name" see one another's writes."""
    async with open_store("memory:shared-by-two") as one, open_store("memory:shared-by-two") as two:
        await applied(one, await lease_for(one), appends=[Append("history", 0, [b"1"])])
        assert await two.read(P, "history") == [b"1"]
