"""A run as people look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .._log import RunRecord, Status
from ..author import Attributes, Memo, ParentInfo
from ..codec import Codec


@dataclass(frozen=True, slots=True)
class ForkInfo:
    """The run that another one was forked from, and the number of the last event that it has from there."""

    workflow_id: str
    run_id: str
    event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDescription:
    """What is known of a run without its history. Times are aware, in UTC; `closed_at` is None while the run is open.

    `stuck` says why the run cannot go on, or is None; such a run is still open, and goes on once the cause is gone.
    `timeout` limits the run, from its start, and `execution_timeout` the whole chain of runs that continue each other as new;
    None: no limit. `first_run_id` is the first run of that chain, and `continued_from` the one that this run continues, or
    None. `version` is that of the workflow when the run was started, or
    None; `pinned` runs are stepped by workers of that version only. `attributes[customer]` has the type of the `Attribute`
    `customer`; a value of the `memo` is decoded when it is asked for.
    `parent` is the run that started this one as its child, or None; `forked_from` is where a forked run comes from, or None.
    `retries` counts how often the run was reopened after a failure, `retried_at` is when last, or None.
    """

    workflow_id: str
    run_id: str
    workflow: str
    status: Status
    queue: str
    started_at: datetime
    closed_at: datetime | None
    stuck: str | None
    timeout: timedelta | None
    execution_timeout: timedelta | None
    first_run_id: str
    continued_from: str | None
    version: str | None
    pinned: bool
    attributes: Attributes = field(hash=False)
    memo: Mapping[str, Any] = field(hash=False, compare=False)
    parent: ParentInfo | None
    forked_from: ForkInfo | None
    retries: int
    retried_at: datetime | None


def described(record: RunRecord, codec: Codec) -> RunDescription:
    """Return a run record as it is shown."""
    body = record.body
    parent, origin, reopened_ms = body.parent, body.forked_from, body.reopened_ms
    return RunDescription(
        workflow_id=record.workflow_id,
        run_id=record.run_id,
        workflow=record.workflow,
        status=record.status,
        queue=record.queue,
        started_at=moment(record.started_ms),
        closed_at=None if record.closed_ms is None else moment(record.closed_ms),
        stuck=record.stuck,
        timeout=_span(body.timeout_ms),
        execution_timeout=_span(body.execution_timeout_ms),
        first_run_id=record.first_run_id,
        continued_from=body.continued_from or None,
        version=body.version or None,
        pinned=record.pinned,
        attributes=Attributes(record.attributes),
        memo=Memo(body.memo, codec),
        parent=None if parent is None else ParentInfo(parent.workflow_id, parent.run_id),
        forked_from=None if origin is None else ForkInfo(origin.workflow_id, origin.run_id, origin.event),
        retries=body.reopenings,
        retried_at=None if reopened_ms is None else moment(reopened_ms),
    )


def _span(ms: int | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)


def moment(ms: int) -> datetime:
    """Return a time of the store as an aware datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def needed_workflow(run: RunRecord | RunDescription) -> str:
    """Return in words what a worker must serve to step `run`."""
    version = run.version if isinstance(run, RunDescription) else run.body.version
    return f"version {version} of workflow {run.workflow!r}" if run.pinned else f"workflow {run.workflow!r}"
