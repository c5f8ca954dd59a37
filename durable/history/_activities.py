"""Activities: scheduled, retried, ended, asked to cancel; and local ones, which run in the engine's process."""

from typing import Any

import msgspec

from ._event import CommandEvent, Event, FailureData, Inbound


class ActivityScheduled(CommandEvent, frozen=True, kw_only=True):
    """An activity is to run on `queue`. Times are limits in ms (None: none); `retry` is None for the default policy."""

    activity: str
    queue: str
    args: msgspec.Raw
    retry: dict[str, Any] | None = None
    timeout_ms: int | None = None
    total_timeout_ms: int | None = None
    queue_timeout_ms: int | None = None
    heartbeat_timeout_ms: int | None = None
    headers: dict[str, str] | None = None

    def summary(self) -> str:
        return f"activity {self.activity!r} on queue {self.queue!r} (#{self.id})"


class ActivityRetryScheduled(Event, frozen=True, kw_only=True):
    """Attempt `attempt` of activity `id` failed; the next one is due at `due_ms`."""

    id: int
    attempt: int
    due_ms: int
    failure: FailureData


class ActivityCompleted(Inbound, frozen=True, kw_only=True):
    """Activity `id` returned `result` at its `attempt`."""

    id: int
    result: msgspec.Raw
    attempt: int = 1


class ActivityFailed(Inbound, frozen=True, kw_only=True):
    """Activity `id` failed for good at `attempt`. `timeout` is "attempt", "total", "queue", "heartbeat" or empty."""

    id: int
    failure: FailureData
    attempt: int = 1
    timeout: str = ""


class ActivityCancelRequested(CommandEvent, frozen=True, kw_only=True):
    """The code gave up waiting for activity `id`: its task is removed, a running attempt is told."""

    def summary(self) -> str:
        return f"cancellation of activity #{self.id}"


class LocalActivityScheduled(CommandEvent, frozen=True, kw_only=True):
    """An activity is to run in the engine's process, and its outcome is recorded in the same commit."""

    activity: str
    args: msgspec.Raw
    headers: dict[str, str] | None = None

    def summary(self) -> str:
        return f"local activity {self.activity!r} (#{self.id})"


class LocalActivityCompleted(Inbound, frozen=True, kw_only=True):
    """Local activity `id` returned `result`."""

    id: int
    result: msgspec.Raw
    attempt: int = 1


class LocalActivityFailed(Inbound, frozen=True, kw_only=True):
    """Local activity `id` failed for good."""

    id: int
    failure: FailureData
    attempt: int = 1
