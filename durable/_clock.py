"""The one seam to what cannot be replayed: time, waiting, ids and chance. Nothing else in the package reads a clock.

A `Clock` is handed to the store, and from there to the engine, the worker and the client; tests hand in one of their own.
"""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, as in ULID: sorts like the number it writes
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]  # ten bits at a time: an id is made for every call
_ENTROPY_BYTES = 4_096  # read at once: a system call for each id took half the time of starting a run


class Clock(Protocol):
    """Time in whole milliseconds since 1970 (UTC), waiting by that time, ids, and jitter."""

    def now_ms(self) -> int:
        """Return the wall-clock time in milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """Wait until `event` is set; False if `timeout_s` passed first (None: for ever)."""
        ...

    def upkeep_s(self, seconds: float) -> float | None:
        """Return the pause between two rounds of upkeep, which is `seconds`, or None to let no time of its own bring it about.

        Upkeep is what would happen every so often although nobody asked: a look in case a notification was lost, a
        renewal, a search for tasks that nobody takes. A clock that jumps from one due time to the next answers None: it
        would otherwise have to step through each round (docs/decisions/0007-virtual-time.md). Then nothing of the store
        may be lost or expire by itself.
        """
        ...

    def new_id(self) -> str:
        """Return a new unique id of 26 characters (the form of a ULID) that sorts by time of creation.

        Ids of one clock grow strictly, even within a millisecond: the latest run of a workflow id is the one with the greatest.
        """
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1), to spread what would otherwise happen at once."""
        ...


_forks = 0


def forks() -> int:
    """Return a number that is another one in each forked child: cheaper to compare than the process's id, which is a system call."""
    return _forks


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_count_fork)


class SystemClock:
    """The machine's clock and randomness."""

    def __init__(self) -> None:
        self._entropy: Iterator[bytes] = iter(())
        self._forks = forks()
        self._last = 0  # the number of the last id
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True

    def upkeep_s(self, seconds: float) -> float | None:
        return seconds

    def new_id(self) -> str:
        with self._lock:
            if self._forks != _forks:  # a fork must not repeat its parent's ids
                self._forks, self._last, self._entropy = _forks, 0, iter(())
            entropy = next(self._entropy, None)
            if entropy is None:
                pool = os.urandom(_ENTROPY_BYTES)
                self._entropy = iter([pool[n : n + 10] for n in range(0, _ENTROPY_BYTES - 9, 10)])
                entropy = next(self._entropy)
            self._last = max((self.now_ms() << 80) | int.from_bytes(entropy, "big"), self._last + 1)
            return _text(self._last)

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing


def cpu_clock_of_this_thread() -> Callable[[], float] | None:
    """Return a function that tells the CPU seconds this thread has used, callable from any thread; None where there is none.

    macOS and Windows have no such clock. Once the thread has ended, the function raises `OSError`.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


def ulid(now_ms: int, entropy: bytes) -> str:
    """Return 48 bits of time and 80 of `entropy` as 26 lower-case characters (github.com/ulid/spec)."""
    return _text((now_ms << 80) | int.from_bytes(entropy, "big"))


def ulid_ms(text: str) -> int | None:
    """Return the time in a ULID, or None if `text` is none."""
    if len(text) != 26 or not set(text) <= set(_ALPHABET):
        return None
    ms = 0
    for digit in text[:10]:
        ms = ms * 32 + _ALPHABET.index(digit)
    return ms


def _text(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
