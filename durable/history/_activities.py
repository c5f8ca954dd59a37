"""Activities: scheduled, retried, ended, asked to cancel; and local ones, which run in the engine's process."""

from typing import Any, Literal

import msgspec

from ._event import CommandEvent, Event, FailureData, Inbound

Cancellation = Literal["try", "wait", "abandon"]
"""What cancelling the wait for an activity or a child does: ask it to stop and give it up, ask and wait for its end, or only give it up."""


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
    cancellation: Cancellation = "try"

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
    """The code cancelled activity `id`. What follows is said by the `cancellation` of its `ActivityScheduled`.

    "try": its task is removed, a running attempt is told, and what it gives is dropped. "abandon": what it gives is dropped.
    "wait": a running attempt is told, and its end is recorded: as `ActivityCancelled`, or with what it gave all the same.
    """

    def summary(self) -> str:
        return f"cancellation of activity #{self.id}"


class ActivityCancelled(Inbound, frozen=True, kw_only=True):
    """Activity `id` ended because its cancellation was asked for, at its `attempt`."""

    id: int
    attempt: int = 1


class ActivityDeferred(Event, frozen=True, kw_only=True):
    """The code of `attempt` of activity `id` has ended, and left it to the holder of its token to end it.

    `details` is what the attempt said last by `heartbeat`. Its time limits are watched by the run's owner from here on.
    """

    id: int
    attempt: int = 1
    details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ActivityHeartbeatRecorded(Event, frozen=True, kw_only=True):
    """The holder of the token of a deferred `attempt` said `details`, for the next attempt to read."""

    id: int
    details: msgspec.Raw
    attempt: int = 1


class LocalActivityScheduled(CommandEvent, frozen=True, kw_only=True):
    """An activity is to run in the engine's process, and its outcome is recorded in the same commit."""

    activity: str
    args: msgspec.Raw
    headers: dict[str, str] | None = None

    def summary(self) -> str:
        return f"local activity {self.activity!r} (#{self.id})"


class LocalActivityRetryScheduled(Event, frozen=True, kw_only=True):
    """Attempt `attempt` of local activity `id` failed; the next one runs in a step of its own, at `due_ms`."""

    id: int
    attempt: int
    due_ms: int
    failure: FailureData


class LocalActivityCancelRequested(CommandEvent, frozen=True, kw_only=True):
    """The code gave up waiting for local activity `id`: a running attempt is told, and what it gives is dropped."""

    def summary(self) -> str:
        return f"cancellation of local activity #{self.id}"


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
