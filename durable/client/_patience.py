"""How a client deals with a store that does not answer, and how it waits for something to happen there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from .._clock import Clock
from ..errors import StoreUnavailableError
from ..stores import Store

T = TypeVar("T")

_TRIES = 7  # about 12 s in all: a restart of the store passes unnoticed, an outage does not
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.1, 5.0
_POLL_S_MIN, _POLL_S_MAX = 1.0, 5.0  # notifications are hints: one that is lost costs this much


async def insist(clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """Make `call`, and make it again while its outcome is unknown: it must be one that may be repeated.

    Raises `StoreUnavailableError` after some tries.
    """
    pause_s = _PAUSE_S_MIN
    for _ in range(_TRIES - 1):
        try:
            return await call()
        except StoreUnavailableError:
            await clock.sleep(pause_s * (1 - 0.5 * clock.jitter()))
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
    return await call()


async def wait_for(
    store: Store, topics: Iterable[str], look: Callable[[], Awaitable[T | None]], timeout_s: float | None
) -> T | None:
    """Return what `look` finds, looking again whenever one of `topics` is touched, and now and then. None after `timeout_s`."""
    clock = store.clock
    ends = None if timeout_s is None else clock.monotonic() + timeout_s
    watch = store.watch(topics)  # before the first look: what happens right after it is not missed
    poll_s = _POLL_S_MIN
    try:
        while True:
            found = await insist(clock, look)
            left_s = None if ends is None else ends - clock.monotonic()
            if found is not None or (left_s is not None and left_s <= 0):
                return found
            pauses_s = [pause_s for pause_s in (clock.upkeep_s(poll_s), left_s) if pause_s is not None]
            if not await watch.wait(min(pauses_s, default=None)):
                poll_s = min(1.5 * poll_s, _POLL_S_MAX)
    finally:
        watch.close()
