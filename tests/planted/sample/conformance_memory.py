"""The store conformance suite, held to the memory store of the copy."""

from collections.abc import AsyncIterator

import pytest

from durable.stores import Store, open_store
from durable.testing import ManualClock
from durable.testing.conformance import StoreSuite


class TestMemory(StoreSuite):
    """All promises."""

    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
        async with open_store("memory:", clock=clock, partitions=4) as store:
            yield store
