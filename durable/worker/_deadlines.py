"""Time limits of running attempts: one heap and one sleeper for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from .._clock import Clock

T = TypeVar("T")

_STALE_MAX = (
    1_000  # entries of ended attempts that are kept before the heap is swept: bounds memory, costs nothing per attempt
)


class Deadlines(Generic[T]):
    """Calls `passed(item, kind)` once the time of an entry has come, if `is_live(item)` still holds. For one event loop."""

    def __init__(self, clock: Clock, is_live: Callable[[T], bool], passed: Callable[[T, str], None]) -> None:
        self._clock, self._is_live, self._passed = clock, is_live, passed
        self._heap: list[tuple[float, int, T, str]] = []
        self._pushed = 0
        self._swept = 0  # how many entries were left after the last sweep
        self._sooner = asyncio.Event()

    def push(self, at: float, item: T, kind: str) -> None:
        """Call `passed(item, kind)` at the monotonic time `at`."""
        heap = self._heap
        if not heap or at < heap[0][0]:
            self._sooner.set()
        self._pushed += 1
        heappush(heap, (at, self._pushed, item, kind))
        if len(heap) > 2 * self._swept + _STALE_MAX:
            self._heap = heap = [entry for entry in heap if self._is_live(entry[2])]
            heapify(heap)
            self._swept = len(heap)

    async def run(self) -> None:
        """Watch the time until cancelled."""
        while True:
            now = self._clock.monotonic()
            while self._heap and (self._heap[0][0] <= now or not self._is_live(self._heap[0][2])):
                _, _, item, kind = heappop(self._heap)
                if self._is_live(item):
                    self._passed(item, kind)
            await self._clock.wait(self._sooner, self._heap[0][0] - now if self._heap else None)
            self._sooner.clear()
