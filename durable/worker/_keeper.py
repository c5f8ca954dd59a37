"""Keeps a session alive: renews it, its leases and its claims, whatever the event loop is doing.

It is also who knows whether the session is *surely* alive: a process that was stopped (SIGSTOP, a suspended machine) comes
back with work that it claimed long ago, and must not begin any of it before it knows whose that is now.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from ..stores import Lease, Renewal, Store

logger = logging.getLogger("durable.worker")

_WARN_EVERY = (
    60  # failures in a row for a warning: about a minute, so that a night without the store does not fill the log
)

_RENEWALS_PER_TTL = 5  # four of them may fail or come late before anything is lost


class Held(Protocol):
    """What is to be renewed, and who is told what was found to be lost."""

    def leases(self) -> Sequence[Lease]:
        """Return the leases held. Thread-safe."""
        ...

    def claims(self) -> Sequence[str]:
        """Return the ids of the tasks that are held. Thread-safe."""
        ...

    def lost(self, renewal: Renewal) -> None:
        """Something is lost. Called in the event loop."""
        ...


class Keeper:
    """Renews a session five times within its time to live, in a thread of its own or (`use_thread=False`) in the event loop.

    The thread is what keeps a worker alive while user code blocks its loop. In the loop, time is the clock's: for tests.
    An error of the store is logged, and the next renewal is tried at its time.
    """

    def __init__(self, store: Store, session: str, ttl_ms: int, held: Held, *, use_thread: bool) -> None:
        self._store, self._session, self._ttl_ms, self._held = store, session, ttl_ms, held
        self._interval_s = ttl_ms / 1000 / _RENEWALS_PER_TTL
        self._use_thread = use_thread
        # By the monotonic clock: the session was alive all the time since the first, and is until the second. One tuple,
        # replaced as a whole: other threads read it.
        self._sure = (math.inf, -math.inf)
        self._expires = store.clock.upkeep_s(self._interval_s) is not None
        self._failures = 0  # in a row
        self._stop = threading.Event()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def began(self, asked_s: float) -> None:
        """The session was begun, or begun anew, by a call that was made at `asked_s` of the monotonic clock."""
        self._sure = (asked_s, asked_s + self._ttl_ms / 1000)

    def is_sure(self, since_s: float = math.inf) -> bool:
        """Return whether the session is alive for certain, and was without a gap since `since_s` (monotonic; default: now).

        What it claimed after `since_s`, nobody else has then. Thread-safe.
        """
        alive_since_s, alive_until_s = self._sure
        return not self._expires or (alive_since_s <= since_s and self._store.clock.monotonic() < alive_until_s)

    async def run(self) -> None:
        """Renew until `stop`. Returns when no renewal is under way any more, so that the session can be ended for good."""
        if self._use_thread:
            threading.Thread(target=self._run_in_thread, name="durable-keeper", daemon=True).start()
            await self._ended.wait()
            return
        while not self._stop.is_set():
            await self._store.clock.wait(self._ended, self._store.clock.upkeep_s(self._interval_s))
            if not self._stop.is_set():
                self._renew(self._held.lost)

    def stop(self) -> None:
        """Renew no more; `run` returns soon."""
        self._stop.set()
        if not self._use_thread:
            self._ended.set()

    def _run_in_thread(self) -> None:
        try:
            while not self._stop.wait(self._interval_s):
                self._renew(lambda renewal: self._call(lambda: self._held.lost(renewal)))
        finally:
            self._call(self._ended.set)

    def _renew(self, report: Callable[[Renewal], None]) -> None:
        asked_s = self._store.clock.monotonic()
        try:
            tasks = self._held.claims()  # all of them: this is how a cancelled one learns of it
            renewal = self._store.renew(self._session, self._ttl_ms, self._held.leases(), tasks)
        except Exception as error:  # whatever it is, giving up would lose the session for sure
            level = logging.DEBUG if self._failures % _WARN_EVERY else logging.WARNING
            self._failures += 1
            logger.log(level, "the session could not be renewed, next try in %g s: %s", self._interval_s, error)
            return
        if self._failures:
            logger.warning("the session is renewed again, after %d tries in vain", self._failures)
            self._failures = 0
        since_s, until_s = self._sure
        if renewal.session_expired:
            self._sure = (math.inf, -math.inf)  # until `began`
        else:  # after a gap it may have been somebody else's turn: what was claimed before that is in doubt for good
            self._sure = (since_s if asked_s < until_s else asked_s, asked_s + self._ttl_ms / 1000)
        if renewal.leases or renewal.tasks or renewal.cancelled or renewal.session_expired:
            report(renewal)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._stop.set()
