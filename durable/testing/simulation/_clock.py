"""The clocks of a simulation: one for each process, and the store's, by which everything durable is judged."""

from __future__ import annotations

import asyncio
from random import Random

from ..._clock import ulid

START_MS = 1_700_000_000_000  # any time will do, as long as it is the same in every run


class SimulatedClock:
    """A `Clock` on the virtual time of the running loop, `offset_ms` away from it; ids and jitter come from `chance`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Random, offset_ms: int = 0) -> None:
        self._loop, self._chance = loop, chance
        self.offset_ms = offset_ms
        self._last_ms = 0
        self._last_low = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        return START_MS + self.offset_ms + int(self._loop.time() * 1000)

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True

    def upkeep_s(self, seconds: float) -> float | None:
        """See `Clock`."""
        return seconds

    def new_id(self) -> str:
        """See `Clock`: ids grow strictly, even if the time does not."""
        now_ms = self.now_ms()
        if now_ms > self._last_ms:
            self._last_ms, self._last_low = now_ms, int(self._chance.random() * 2**52) << 24
        else:
            self._last_low += 1
        return ulid(self._last_ms, self._last_low.to_bytes(10, "big"))

    def jitter(self) -> float:
        """See `Clock`."""
        return self._chance.random()
