"""How long an attempt may take, be silent, and go on after it was told to stop."""

from __future__ import annotations

from typing import Protocol

from .._clock import Clock
from ._attempt import Attempt
from ._deadlines import Deadlines

PATIENCE_S = 2.0  # between telling code to stop and going on without it: enough for a `finally`, short within a grace
_STRAY_S = 0.05  # a loop that shuts down cancels all of its tasks in one go, the worker's among them: it stops well within this


class Enforcer(Protocol):
    """Who acts when the time of an attempt has come; called in the event loop, and never for one whose code has ended."""

    def time_is_up(self, attempt: Attempt) -> None:
        """It has reached the limit that its verdict names."""
        ...

    def out_of_patience(self, attempt: Attempt) -> None:
        """It was told to stop, and goes on."""
        ...

    def stray(self, attempt: Attempt) -> None:
        """Nobody but its own code can have cancelled it."""
        ...


class TimeLimits:
    """The clocks that run against attempts; `enforcer` is told when one has run out. Belongs to one event loop."""

    def __init__(self, clock: Clock, enforcer: Enforcer) -> None:
        self._enforcer, self._monotonic = enforcer, clock.monotonic
        self._deadlines = Deadlines[Attempt](clock, lambda attempt: not attempt.ended, self._passed)
        self._strays = set[Attempt]()

    async def run(self) -> None:
        """Watch the time until cancelled."""
        await self._deadlines.run()

    def begin(self, attempt: Attempt) -> None:
        """Count from now how long its code takes, and how long it is silent."""
        task = attempt.task
        if task.timeout_ms is None and task.heartbeat_timeout_ms is None:
            return
        now = self._monotonic()
        if task.timeout_ms is not None:
            self._deadlines.push(now + task.timeout_ms / 1000, attempt, "attempt")
        if task.heartbeat_timeout_ms is not None:
            attempt.last_beat = now
            self._deadlines.push(now + task.heartbeat_timeout_ms / 1000, attempt, "heartbeat")

    def be_patient(self, attempt: Attempt) -> None:
        """Count from now how long it goes on after it was told to stop."""
        self._deadlines.push(self._monotonic() + PATIENCE_S, attempt, "patience")

    def await_shutdown(self, attempt: Attempt) -> None:
        """It was cancelled, and not by us: either its own code did it, or the whole loop is being shut down. That will show."""
        self._strays.add(attempt)
        self._deadlines.push(self._monotonic() + _STRAY_S, attempt, "stray")

    def take_strays(self) -> set[Attempt]:
        """Return those of which it has not shown yet, and wait for them no longer."""
        strays, self._strays = self._strays, set[Attempt]()
        return strays

    def _passed(self, attempt: Attempt, kind: str) -> None:
        if kind == "patience":
            self._enforcer.out_of_patience(attempt)
        elif kind == "stray":
            if attempt in self._strays:
                self._strays.discard(attempt)
                self._enforcer.stray(attempt)
        elif attempt.verdict:
            return
        elif kind == "heartbeat" and (due := self._silent_until(attempt)) > self._monotonic():
            self._deadlines.push(due, attempt, kind)
        else:
            attempt.verdict = kind
            self._enforcer.time_is_up(attempt)

    @staticmethod
    def _silent_until(attempt: Attempt) -> float:
        return attempt.last_beat + (attempt.task.heartbeat_timeout_ms or 0) / 1000
