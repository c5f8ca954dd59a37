"""Timers: started, fired, cancelled."""

from ._event import CommandEvent, Inbound


class TimerStarted(CommandEvent, frozen=True, kw_only=True):
    """A timer is to fire at `due_ms`."""

    due_ms: int

    def summary(self) -> str:
        return f"timer #{self.id}"


class TimerFired(Inbound, frozen=True, kw_only=True):
    """Timer `id` is due."""

    id: int


class TimerCancelled(CommandEvent, frozen=True, kw_only=True):
    """The code needs timer `id` no more."""

    def summary(self) -> str:
        return f"cancellation of timer #{self.id}"
