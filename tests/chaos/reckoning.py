"""The end of the soak: what producers were told and what happened in the world agree with the histories, on every run."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from durable import Client
from durable.history import (
    ActivityCompleted,
    ChildCompleted,
    RecordedEvent,
    RunCompleted,
    RunStarted,
    SignalReceived,
    TimerFired,
)
from tests.chaos.program import has_child, has_timer, order
from tests.engine.harness import replayed_execution

AT_ONCE = 50
REPLAYED_EVERY = 50  # of the histories: one of so many is replayed as well


def effects_of(ledger: Path) -> Counter[tuple[str, int]]:
    """Return how often each effect happened: by its idempotency key, and the number that its activity was given."""
    found = Counter[tuple[str, int]]()
    for path in ledger.glob("*.effects"):
        for line in path.read_text(encoding="ascii").splitlines():
            key, _, number = line.rpartition(" ")
            found[key, int(number)] += 1
    return found


class Reckoning:
    """Compares. `progress` is told how many runs are done."""

    def __init__(self, client: Client, effects: Counter[tuple[str, int]], progress: Callable[[int], None]) -> None:
        self._client, self._progress = client, progress
        self._done_by_number = Counter[int]()
        for key, number in effects:
            assert key, "an effect without a key"
            self._done_by_number[number] += 1
        self._left: list[int] = []
        self._done = 0

    async def check(self, count: int) -> None:
        """Check the runs 0 to `count` - 1. Raises `AssertionError`, which names the run."""
        self._left = list(range(count))
        await asyncio.gather(*(self._check_some() for _ in range(AT_ONCE)))

    async def _check_some(self) -> None:
        while self._left:
            number = self._left.pop()
            await self._check_one(number)
            self._done += 1
            self._progress(self._done)

    async def _check_one(self, number: int) -> None:
        handle = self._client.handle(f"order-{number}", workflow=order)
        history = await handle.history()
        events = [recorded.event for recorded in history]
        where = f"order-{number}: {events}"
        assert [recorded.seq for recorded in history] == list(range(1, len(history) + 1)), where
        assert isinstance(events[0], RunStarted), where
        assert isinstance(events[-1], RunCompleted), where
        counts = Counter(type(event) for event in events)
        assert counts[RunStarted] == counts[RunCompleted] == counts[SignalReceived] == 1, where
        assert counts[TimerFired] == has_timer(number), where
        assert counts[ChildCompleted] == has_child(number), where
        assert [event.request for event in events if isinstance(event, SignalReceived)] == [f"pay-{number}"], where
        done = [event.id for event in events if isinstance(event, ActivityCompleted)]
        assert len(done) == len(set(done)) == 2, where
        # The world has seen each of its effects, and each under one key however often it was tried.
        assert self._done_by_number[number] == 2 + has_child(number), where
        if number % REPLAYED_EVERY == 0:
            records = [recorded.record for recorded in history]
            replayed_execution(order, records).dispose()
            assert [RecordedEvent.read(seq, record).event for seq, record in enumerate(records, 1)] == events
