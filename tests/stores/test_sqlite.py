"""The SQLite store keeps every promise of the store protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable.stores import Store, open_store
from durable.testing._clock import ManualClock
from durable.testing.conformance import StoreSuite


class TestSqliteStore(StoreSuite):
    """A file of its own for each test."""

    @pytest.fixture
    async def store(self, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
        async with open_store(f"sqlite:///{tmp_path}/store.db?partitions=4", clock=clock) as store:
            yield store

    async def reopen(self, store: Store, clock: ManualClock) -> Store:
        await store.close()
        return await open_store(store.url, clock=clock)
