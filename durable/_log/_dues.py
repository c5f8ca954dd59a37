"""What becomes due in a partition: timers, retries and time limits, as dues of the store."""

from typing import ClassVar

import msgspec

from ..errors import DamagedRecordError
from ..history import UNREADABLE
from ..stores import Due
from ._tasks import ActivityTask


def due_key(run_id: str, command: int, kind: str) -> str:
    """Return the key of the due `kind` of a command: of an activity one of `ACTIVITY_DUES`, "local" or "timer"."""
    return f"{run_id}/{command}/{kind}"


def run_timeout_key(run_id: str) -> str:
    """Return the key of the due that ends a run."""
    return f"{run_id}/timeout"


class DueItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Something that happens to a run at a time. `id` is the command's number (0: the run itself)."""

    kind_of_key: ClassVar[str] = ""

    workflow_id: str
    run_id: str
    id: int = 0

    @property
    def key(self) -> str:
        """The due's key in its partition."""
        return due_key(self.run_id, self.id, self.kind_of_key)


class TimerDue(DueItem, frozen=True, kw_only=True):
    """A timer fires."""

    kind_of_key: ClassVar[str] = "timer"


class RetryDue(DueItem, frozen=True, kw_only=True):
    """The next attempt of an activity is put on its queue. It needs no step: the owner moves `task` there."""

    queue: str
    task: ActivityTask
    queue_timeout_ms: int | None = None

    kind_of_key: ClassVar[str] = "retry"


class TotalTimeoutDue(DueItem, frozen=True, kw_only=True):
    """An activity has used up its total time, attempts and pauses together."""

    kind_of_key: ClassVar[str] = "total"


class QueueTimeoutDue(DueItem, frozen=True, kw_only=True):
    """An attempt has waited in its queue for as long as it may: it fails unless a worker holds it."""

    attempt: int

    kind_of_key: ClassVar[str] = "queue"


class AttemptTimeoutDue(DueItem, frozen=True, kw_only=True):
    """A deferred attempt has used up its time. Before it was deferred, its worker watched that."""

    attempt: int

    kind_of_key: ClassVar[str] = "attempt"


class HeartbeatDue(DueItem, frozen=True, kw_only=True):
    """A deferred attempt has not been heard of for as long as it may."""

    attempt: int

    kind_of_key: ClassVar[str] = "heartbeat"


class CancelDue(DueItem, frozen=True, kw_only=True):
    """The cancellation of an activity was asked for, and its end is waited for: it has ended unless a worker holds it."""

    attempt: int

    kind_of_key: ClassVar[str] = "cancel"


class LocalRetryDue(DueItem, frozen=True, kw_only=True):
    """The next attempt of a local activity is to run."""

    attempt: int

    kind_of_key: ClassVar[str] = "local"


ACTIVITY_DUES = ("retry", "total", "queue", "attempt", "heartbeat", "cancel")
"""The kinds of all dues that an activity may have; a local one has "local" alone."""


class RunTimeoutDue(DueItem, frozen=True, kw_only=True):
    """The run has reached its time limit, or (`kind` is "execution") that of its chain: whichever comes first is set."""

    timeout_ms: int
    kind: str = "run"

    @property
    def key(self) -> str:
        """See `DueItem`."""
        return run_timeout_key(self.run_id)


AnyDue = (
    TimerDue
    | RetryDue
    | TotalTimeoutDue
    | QueueTimeoutDue
    | AttemptTimeoutDue
    | HeartbeatDue
    | CancelDue
    | LocalRetryDue
    | RunTimeoutDue
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyDue] = msgspec.json.Decoder(AnyDue)


def write_due(item: AnyDue, due_ms: int) -> Due:
    """Return `item` as a due of the store."""
    return Due(item.key, due_ms, _encoder.encode(item))


def read_due(due: Due) -> AnyDue:
    """Return the item in a due. Raises `DamagedRecordError`."""
    try:
        return _decoder.decode(due.data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"the due entry {due.key!r} cannot be read: {error}") from None
