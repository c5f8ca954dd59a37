"""A clock that stands still until a test moves it."""

import asyncio
import threading
from contextlib import suppress

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
        sleeper = (self._now_ms + milliseconds(seconds), asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            with suppress(ValueError):
                self._sleepers.remove(sleeper)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if event.is_set() or timeout_s is None:
            return await event.wait()
        touched, timed_out = asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.sleep(timeout_s))
        try:
            await asyncio.wait((touched, timed_out), return_when=asyncio.FIRST_COMPLETED)
        finally:
            touched.cancel()
            timed_out.cancel()
            await asyncio.gather(touched, timed_out, return_exceptions=True)
        return event.is_set()

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
