"""The suite that every store must pass: one test for each promise of `durable.stores._protocol`.

Subclass it in a test module of your own; it needs `pytest` and `pytest-asyncio` in auto mode:

    class TestMyStore(StoreSuite):
        @pytest.fixture
        async def store(self, clock):
            async with open_store("mystore://...", clock=clock, partitions=4) as store:
                yield store

The store must be empty, have four partitions or more, and take its time from the `clock` fixture. Override `reopen` if
what the store holds survives `close`.
"""

from ._attributes import AttributeTests
from ._commits import CommitTests
from ._created import CreatedTests
from ._documents import DocumentTests
from ._dues import DueTests
from ._forgetting import ForgettingTests
from ._going_back import GoingBackTests
from ._inspect import InspectTests
from ._sessions import SessionTests
from ._tasks import TaskTests
from ._watch import WatchTests

__all__ = ["StoreSuite"]


class StoreSuite(
    GoingBackTests,
    DocumentTests,
    CommitTests,
    CreatedTests,
    AttributeTests,
    SessionTests,
    TaskTests,
    DueTests,
    ForgettingTests,
    WatchTests,
    InspectTests,
):
    """All promises of the `Store` and `Inspect` protocols."""
