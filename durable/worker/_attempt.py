"""One attempt of an activity while this process runs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from .._headers import read_headers
from .._log import ActivityEnded, ActivityTask, AttemptToken, write_token
from ..author._activity_context import ActivityContext, ActivityInfo
from ..stores import ClaimedTask
from ._plans import Plan

if TYPE_CHECKING:
    from ._processes import Job


class Observer(Protocol):
    """Who is told what attempts do; any thread may call."""

    def monotonic(self) -> float: ...
    def wants_progress(self, attempt: Attempt) -> None: ...


class Attempt(ActivityContext):
    """A task that runs here. `claimed` is None for a local activity: its outcome goes to `local`, no store knows of it.

    `key` is the id under which the runner knows it while its outcome is open; `ended` says that its code has ended.
    `verdict` says why it is being stopped: "attempt" or "heartbeat" (its time is up), "lost" (the claim is), "stop" (the
    worker stops), or "" while it may run. `cancel_asked`: it is told to stop, its claim holds, and its end is reported.
    `started` is the moment, by the monotonic clock, at which the call that claimed it was made; for a local activity, at
    which it was asked for.
    """

    __slots__ = (
        "begun", "cancel_asked", "claimed", "coroutine_task", "ended", "job", "key", "last_beat", "local", "observer",
        "plan", "started", "started_ms", "task", "verdict", "writer", "writing",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        task: ActivityTask,
        claimed: ClaimedTask | None,
        observer: Observer,
        *,
        started: float,
        started_ms: int,
    ) -> None:
        # Not by super(): this runs once for every activity.
        self.codec = plan.codec
        if claimed is not None and claimed.details is not None:  # from an earlier delivery of this attempt
            self.previous: msgspec.Raw | None = msgspec.Raw(claimed.details)
        else:
            self.previous = None if task.details is msgspec.UNSET else task.details
        self.said = None
        self.cancelled = False
        self._info = None
        self.plan, self.task, self.claimed, self.observer = plan, task, claimed, observer
        self.started, self.started_ms = started, started_ms
        self.last_beat = started
        self.key = claimed.task.id if claimed is not None else f"local/{task.task_id}"
        self.verdict = ""
        self.cancel_asked = False
        self.begun = False  # whether an async attempt is past the question whether it may begin
        self.ended = False
        self.local: asyncio.Future[ActivityEnded] | None = None
        self.coroutine_task: asyncio.Task[None] | None = None
        self.job: Job | None = None
        self.writing = False  # whether a writer of progress is under way, or asked for
        self.writer: asyncio.Task[None] | None = None

    @property
    def can_defer(self) -> bool:  # type: ignore[override]
        """See `ActivityContext`."""
        return self.claimed is not None

    def release(self) -> None:
        """Its code has ended: let go of what refers to it, else it would be there until the garbage collector comes."""
        self.coroutine_task = self._info = None

    def end_local(self, outcome: ActivityEnded | Exception | None) -> None:
        """Give whoever waits for a local activity its outcome: what it ended with, what kept it from beginning, or (None) neither."""
        if self.local is None or self.local.done():
            return
        if outcome is None:
            self.local.cancel()
        elif isinstance(outcome, Exception):
            self.local.set_exception(outcome)
        else:
            self.local.set_result(outcome)

    def describe(self) -> ActivityInfo:
        """See `ActivityContext`."""
        return describe(self, self.task, self.claimed, self.plan.queue, self.started_ms)

    def beat(self) -> None:
        """See `ActivityContext`."""
        self.last_beat = self.observer.monotonic()
        if self.said is not None and not self.writing:
            self.writing = True
            self.observer.wants_progress(self)


def describe(
    context: ActivityContext, task: ActivityTask, claimed: ClaimedTask | None, queue: str, started_ms: int
) -> ActivityInfo:
    """Return what the code of an attempt may know of it."""
    return ActivityInfo(
        activity=task.activity,
        workflow=task.workflow,
        workflow_id=task.workflow_id,
        run_id=task.run_id,
        queue=queue,
        attempt=task.attempt,
        delivery=claimed.deliveries if claimed is not None else 1,
        scheduled_at=datetime.fromtimestamp(task.scheduled_ms / 1000, UTC),
        started_at=datetime.fromtimestamp(started_ms / 1000, UTC),
        timeout=_duration(task.timeout_ms),
        heartbeat_timeout=_duration(task.heartbeat_timeout_ms),
        idempotency_key=task.idempotency_key,
        headers=read_headers(task.headers),
        token=write_token(AttemptToken(task.workflow_id, task.run_id, task.id, task.attempt)),
        _context=context,
    )


def _duration(ms: int | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)
