"""Run by `nox -s wheel`: the stores in the installed wheel keep the promises of the suite that the wheel carries.

It is written as the author of another store would write it.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable._clock import Clock
from durable.stores import Store, open_store
from durable.testing.conformance import StoreSuite


class TestMemoryStore(StoreSuite):
    """The memory store."""

    @pytest.fixture
    async def store(self, clock: Clock) -> AsyncIterator[Store]:
        """An empty store."""
        async with open_store("memory:", clock=clock, partitions=4) as store:
            yield store


class TestSqliteStore(StoreSuite):
    """The SQLite store, with the schema that the wheel carries."""

    @pytest.fixture
    async def store(self, clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
        """An empty file."""
        async with open_store(f"sqlite:///{tmp_path}/store.db?partitions=4", clock=clock) as store:
            yield store

    async def reopen(self, store: Store, clock: Clock) -> Store:
        """Close the store and open its file again."""
        await store.close()
        return await open_store(store.url, clock=clock)
