"""Clocks for tests: one that a test moves by hand, and one that a `TestEnvironment` moves from due time to due time."""

import asyncio
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush

from .._clock import ulid
from .._duration import Duration, milliseconds

_START_MS = 1_700_000_000_000  # any time will do, as long as it is the same in every run


class ManualClock:
    """A `Clock` whose time moves by `advance` only. Ids and jitter are the same in every run. Thread-safe but for waiting."""

    def __init__(self, start_ms: int = _START_MS) -> None:
        self._lock = threading.Lock()
        self._start_ms = self._now_ms = start_ms
        self._ids = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._now_ms

    def monotonic(self) -> float:
        """See `Clock`."""
        return (self._now_ms - self._start_ms) / 1000

    def advance(self, duration: Duration) -> None:
        """Move the time forward by `duration`, and wake those whose time has come."""
        self._now_ms += milliseconds(duration)
        due = [future for at_ms, future in self._sleepers if at_ms <= self._now_ms]
        self._sleepers = [(at_ms, future) for at_ms, future in self._sleepers if at_ms > self._now_ms]
        for future in due:
            if not future.done():
                future.get_loop().call_soon_threadsafe(_finish, future)

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = self._sleeper(seconds)
        try:
            await sleeper[1]
        finally:
            self._forget(sleeper)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if event.is_set() or timeout_s is None:
            return await event.wait()
        if timeout_s <= 0:
            await asyncio.sleep(0)
            return event.is_set()
        sleeper = self._sleeper(timeout_s)  # from now on, not from whenever a task of its own would begin
        touched = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((touched, sleeper[1]), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._forget(sleeper)
            touched.cancel()
            await asyncio.gather(touched, return_exceptions=True)
        return event.is_set()

    def _sleeper(self, seconds: float) -> tuple[int, asyncio.Future[None]]:
        sleeper = (self._now_ms + milliseconds(seconds), asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        return sleeper

    def _forget(self, sleeper: tuple[int, asyncio.Future[None]]) -> None:
        with suppress(ValueError):
            self._sleepers.remove(sleeper)

    def upkeep_s(self, seconds: float) -> float | None:
        """See `Clock`."""
        return seconds

    def new_id(self) -> str:
        """See `Clock`."""
        with self._lock:
            self._ids += 1
            return ulid(self._now_ms, self._ids.to_bytes(10, "big"))

    def jitter(self) -> float:
        """See `Clock`."""
        return 0.5


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Sleeper:
    """Somebody who waits for a time. `wakes_early`: it looks again by itself, so a step of the clock may wake it."""

    __slots__ = ("live", "wake", "wakes_early")

    def __init__(self, wake: Callable[[], None], *, wakes_early: bool) -> None:
        self.wake, self.wakes_early, self.live = wake, wakes_early, True


class VirtualClock:
    """A `Clock` whose time goes on only when `jump` says so; who does, and when, is for its owner. Of one event loop.

    What has passed and what the clock shows are two things, as on a machine whose clock is set: `monotonic` and all waiting
    follow the first. There is no upkeep. Ids and jitter are the same in every run.
    """

    def __init__(self, start_ms: int) -> None:
        self._passed_ms = 0
        self._offset_ms = start_ms
        self._heap: list[tuple[int, int, _Sleeper]] = []
        self._pushed = 0
        self._last_id = 0
        self._id_lock = threading.Lock()
        self.on_wait: Callable[[], None] = _nothing  # somebody begins to wait for a time

    # --- `Clock`

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._offset_ms + self._passed_ms

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._passed_ms / 1000

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = self._push(seconds, lambda: _finish(future), wakes_early=False)
        try:
            await future
        finally:
            sleeper.live = False

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if event.is_set() or timeout_s is None:
            return await event.wait()
        if timeout_s <= 0:
            await asyncio.sleep(0)
            return event.is_set()
        loop = asyncio.get_running_loop()
        sleeper: _Sleeper | None = None
        try:
            async with asyncio.timeout(None) as limit:
                sleeper = self._push(timeout_s, lambda: limit.reschedule(loop.time()), wakes_early=True)
                await event.wait()
        except TimeoutError:
            return event.is_set()
        finally:
            if sleeper is not None:
                sleeper.live = False
        return True

    def upkeep_s(self, seconds: float) -> float | None:
        """See `Clock`: none."""
        return None

    def new_id(self) -> str:
        """See `Clock`."""
        with self._id_lock:
            self._last_id = max(self.now_ms() << 80, self._last_id) + 1
            return ulid(self._last_id >> 80, (self._last_id & ((1 << 80) - 1)).to_bytes(10, "big"))

    def jitter(self) -> float:
        """See `Clock`."""
        return 0.5

    # --- its owner

    @property
    def passed_ms(self) -> int:
        """How much time has passed."""
        return self._passed_ms

    def next_due(self) -> int | None:
        """Return at how many ms passed the next of those who wait is due, or None if nobody waits for a time."""
        while self._heap:
            due_ms, _, sleeper = self._heap[0]
            if sleeper.live:
                return due_ms
            heappop(self._heap)
        return None

    def jump(self, passed_ms: int) -> None:
        """Let time pass until it is `passed_ms`, and wake those whose time has come. It never goes back."""
        self._passed_ms = max(self._passed_ms, passed_ms)
        while self._heap and self._heap[0][0] <= self._passed_ms:
            _, _, sleeper = heappop(self._heap)
            if sleeper.live:
                sleeper.live = False
                sleeper.wake()

    def set(self, now_ms: int) -> None:
        """Make the clock show `now_ms`, earlier or later, without time passing. Those who wait for a time by it look again."""
        self._offset_ms = now_ms - self._passed_ms
        for _, _, sleeper in self._heap:
            if sleeper.live and sleeper.wakes_early:
                sleeper.live = False
                sleeper.wake()

    def _push(self, seconds: float, wake: Callable[[], None], *, wakes_early: bool) -> _Sleeper:
        # At least a millisecond: what waits for less, because its seconds are rounded, would look again and again at one time.
        due_ms = self._passed_ms + max(1, math.ceil(round(seconds * 1000, 6)))
        sleeper = _Sleeper(wake, wakes_early=wakes_early)
        self._pushed += 1
        heappush(self._heap, (due_ms, self._pushed, sleeper))
        self.on_wait()
        return sleeper


def _nothing() -> None:
    return None
