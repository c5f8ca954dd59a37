"""Tasks: an attempt of an activity, on its way to a worker."""

import msgspec

from ..errors import DamagedRecordError
from ..history import UNREADABLE
from ..stores import Task


class ActivityTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """All that a worker needs to run one attempt. Limits are in ms; `details` is what an earlier attempt said last by `heartbeat`."""

    workflow: str
    workflow_id: str
    run_id: str
    id: int  # the command's number in its run
    activity: str
    args: msgspec.Raw
    attempt: int = 1
    scheduled_ms: int = 0  # when the activity was scheduled, attempt 1
    timeout_ms: int | None = None
    heartbeat_timeout_ms: int | None = None
    headers: dict[str, str] | None = None
    details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # not `| None`: msgspec reads such a Raw as None only

    @property
    def task_id(self) -> str:
        """The id of the task in the store: one per attempt."""
        return task_id(self.run_id, self.id, self.attempt)

    @property
    def idempotency_key(self) -> str:
        """A key that is the same for all attempts of this activity and for no other: for the outside world."""
        return f"{self.run_id}/{self.id}"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ActivityTask)


def task_id(run_id: str, command: int, attempt: int) -> str:
    """Return the id of the task for an attempt of a command."""
    return f"{run_id}/{command}/{attempt}"


def write_task(task: ActivityTask, *, queue: str, inbox: str) -> Task:
    """Return `task` as a task of `queue` whose outcome goes to `inbox`."""
    return Task(task.task_id, queue, task.activity, inbox, task.workflow_id, _encoder.encode(task))


def read_task(task: Task) -> ActivityTask:
    """Return the attempt in a task. Raises `DamagedRecordError`."""
    try:
        return _decoder.decode(task.data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"the task {task.id!r} cannot be read: {error}") from None
