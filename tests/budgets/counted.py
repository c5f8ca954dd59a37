"""What is counted while workflows run: calls of the store, commits, bytes, calls of functions. Nothing of it depends on the machine."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, cast

from durable import Client, Worker
from durable._clock import SystemClock
from durable.stores import Commit, Store, open_store
from durable.testing.benchmark._programs import ACTIVITIES, WORKFLOWS, chain

MARGIN = 1.1  # above what it is today: so much may come with a feature, more is to be decided
LEASE_S = 300.0  # renewed every fifth of it, by a thread: not while anything is counted
_HOT = (
    "acquire", "claim", "commit", "complete", "create", "document", "last_commits", "read", "read_dues", "read_inboxes", "read_last",
    "read_outgoing", "send", "take_reply", "unclaim",
)  # fmt: skip


class CountingStore:
    """A `Store` that passes everything on, and counts the calls that run workflows; not the upkeep, which comes by the clock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls = Counter[str]()
        self.commits = 0  # of partitions: one call may hold several
        self.record_bytes = 0
        self.task_bytes = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(name, found) if name in _HOT else found

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name == "commit":
                self._look(args[0])
            return call(*args, **kwargs)

        return count

    def _look(self, commits: Sequence[Commit]) -> None:
        self.commits += len(commits)
        for commit in commits:
            self.record_bytes += sum(len(record) for append in commit.appends for record in append.records)
            self.task_bytes += sum(len(task.data) for task in commit.tasks)

    def reset(self) -> None:
        """Count from zero."""
        self.calls.clear()
        self.commits = self.record_bytes = self.task_bytes = 0


class QuietClock(SystemClock):
    """The machine's clock, but what comes by the clock alone (polls, renewals, balance) never comes: it would be counted now and then."""

    def upkeep_s(self, seconds: float) -> float | None:
        """See `Clock`. The wait is ended by what happens, and by nothing else."""
        return None


class Counted:
    """A client and a worker on a store that counts."""

    def __init__(self, store: Store) -> None:
        self.real = store
        self.store = CountingStore(store)
        self.client = Client(cast(Store, self.store))

    async def chains(self, runs: int, length: int, at_once: int) -> None:
        """Execute so many chains of `length` activities, `at_once` at a time; count only that, and not what comes at the beginning."""
        await self._chains("warm-up", at_once, 2, at_once)
        self.store.reset()
        await self.chains_only(runs, length, at_once)

    async def chains_only(self, runs: int, length: int, at_once: int) -> None:
        """As `chains`, once those have run: there is no beginning any more."""
        await self._chains("measured", runs, length, at_once)

    async def _chains(self, prefix: str, runs: int, length: int, at_once: int) -> None:
        numbers = iter(range(runs))

        async def one_after_the_other() -> None:
            for number in numbers:
                assert await self.client.execute(chain, id=f"{prefix}-{number}")(length) == length

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(one_after_the_other())


@asynccontextmanager
async def counted(url: str) -> AsyncIterator[Counted]:
    """Give a client whose worker and store are counted."""
    async with open_store(url, clock=QuietClock()) as store:
        found = Counted(store)
        async with Worker(found.client, workflows=WORKFLOWS, activities=ACTIVITIES, lease_ttl=LEASE_S):
            yield found


@contextmanager
def function_calls() -> Iterator[Counter[str]]:
    """Count the calls of functions in this thread: "call" of Python's own, "c_call" of those in C."""
    found = Counter[str]()

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        found[event] += 1

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def within(what: str, found: float, today: float) -> None:
    """Fail if `found` is more than the margin above what it was when the budget was set."""
    assert found <= today * MARGIN, (
        f"{what}: {found:,.2f}, it was {today:,.2f} when this budget was set, and may be {today * MARGIN:,.2f}. "
        "Find what grew; if it is worth that, say so in docs/explanation/performance.md and set the budget anew"
    )
