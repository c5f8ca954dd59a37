"""The life of a run: started, reopened, asked to cancel, closed."""

from typing import ClassVar

import msgspec

from ._attributes import AttributeValue
from ._event import Event, FailureData, Inbound, Role
from ._messages import CarriedSignal


class Parent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The run that started this one as its child; `command` is the number of its command.

    `reopened` is the number of the last reopening of that run before it asked: after one, command numbers may come again.
    """

    workflow_id: str
    run_id: str
    command: int
    partition: int
    reopened: int = 0


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The run that another one was forked from, and the number of the last event that it has from there."""

    workflow_id: str
    run_id: str
    event: int


class RunStarted(Inbound, frozen=True, kw_only=True):
    """The first event. `args` are the call's arguments, `flags` the engine behaviour that this run was begun under.

    `version` is that of the workflow's code at the start, if it has one; `pinned`: the run has the inbox of that version.
    A run with `forked_from` has the events up to `RunForked` from another one, times and all; it draws the random numbers of
    that one until there, from its `seed` (empty: the run's own id).
    `timeout_ms` limits this run, `execution_timeout_ms` its whole chain, which ends at `deadline_ms`. `first_run_id` is the
    first run of the chain ("": this one) and `continued_from` the one before. `signals` are kept for the code before its
    first step, and `requests` are ids of calls that earlier runs of the chain have answered: their repeats are dropped.
    `updates` are the updates that these accepted: the id of the run by that of the update.
    """

    workflow: str
    workflow_id: str
    run_id: str
    queue: str
    args: msgspec.Raw
    request: str
    flags: tuple[str, ...] = ()
    timeout_ms: int | None = None
    parent: Parent | None = None
    version: str = ""
    pinned: bool = False
    attributes: dict[str, AttributeValue] = {}  # noqa: RUF012 - msgspec copies it
    memo: dict[str, msgspec.Raw] = {}  # noqa: RUF012 - msgspec copies it
    headers: dict[str, str] | None = None
    forked_from: Origin | None = None
    seed: str = ""
    first_run_id: str = ""
    continued_from: str = ""
    execution_timeout_ms: int | None = None
    deadline_ms: int | None = None
    signals: tuple[CarriedSignal, ...] = ()
    requests: tuple[str, ...] = ()
    updates: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it


class CancelRequested(Inbound, frozen=True, kw_only=True):
    """Someone asked the run to cancel: `CancelledError` is raised at its await."""

    request: str
    reason: str = ""


class RunReopened(Event, frozen=True, kw_only=True):
    """A failed run goes on: the events from number `voids_from` up to this one do not count any more.

    They were the inbound event at which the code failed and all that followed. What was delivered then is delivered anew
    after this event; if it was the failure of `activity`, that one is tried anew instead, from `attempt` on. `number` counts
    the reopenings of the run, those that a later one voided as well. `deadline_ms` is the new end of the chain's time: that
    in which the run was closed does not count.
    """

    request: str
    voids_from: int
    activity: int | None = None
    attempt: int = 1
    number: int = 1
    deadline_ms: int | None = None


class RunForked(Event, frozen=True, kw_only=True):
    """Here ends what the run has from another one, event `event` there. From here on it draws random numbers from `seed`."""

    workflow_id: str
    run_id: str
    event: int
    seed: str


class Close(Event, frozen=True, kw_only=True):
    """The last event of a run."""

    role: ClassVar[Role] = "close"
    status: ClassVar[str] = ""


class RunCompleted(Close, frozen=True, kw_only=True):
    """The workflow returned `result`."""

    status: ClassVar[str] = "completed"

    result: msgspec.Raw


class RunFailed(Close, frozen=True, kw_only=True):
    """An exception left the workflow's code, at the delivery of the event number `failed_at`."""

    status: ClassVar[str] = "failed"

    failure: FailureData
    failed_at: int = 0


class RunCancelled(Close, frozen=True, kw_only=True):
    """The workflow ended by its cancellation."""

    status: ClassVar[str] = "cancelled"

    reason: str = ""


class RunTerminated(Close, frozen=True, kw_only=True):
    """The run was ended from outside; its code was not asked."""

    status: ClassVar[str] = "terminated"

    request: str
    reason: str = ""


class RunTimedOut(Close, frozen=True, kw_only=True):
    """The run reached its time limit, or (`kind` is "execution") that of its whole chain; its code was not asked."""

    status: ClassVar[str] = "timed_out"

    timeout_ms: int
    kind: str = "run"

    def limit(self) -> str:
        """Return what was reached, in words."""
        whose = "its time limit" if self.kind == "run" else "the time limit of its chain"
        return f"{whose} of {self.timeout_ms / 1000:g} s"


class RunContinuedAsNew(Close, frozen=True, kw_only=True):
    """The code asked to go on as a new run of the same workflow id, `new_run_id`, which the same commit created.

    The fields up to `pinned`, and `headers`, are the new run's. `signals` are the request ids of the signals of this history
    that its code did not read and the new run gets; `cancel` says that a cancellation which came too late goes along.
    """

    status: ClassVar[str] = "continued_as_new"

    new_run_id: str
    workflow: str
    queue: str
    args: msgspec.Raw
    timeout_ms: int | None = None
    version: str = ""
    pinned: bool = False
    signals: tuple[str, ...] = ()
    cancel: bool = False
    headers: dict[str, str] | None = None
