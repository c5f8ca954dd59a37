"""A run as people look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .._log import RunRecord, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDescription:
    """What is known of a run without its history. Times are aware, in UTC; `closed_at` is None while the run is open.

    `stuck` says why the run cannot go on, or is None; such a run is still open, and goes on once the cause is gone.
    `timeout` limits the run, from its start; None: no limit.
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


def described(record: RunRecord) -> RunDescription:
    """Return a run record as it is shown."""
    timeout_ms = record.body.timeout_ms
    return RunDescription(
        workflow_id=record.workflow_id,
        run_id=record.run_id,
        workflow=record.workflow,
        status=record.status,
        queue=record.queue,
        started_at=moment(record.started_ms),
        closed_at=None if record.closed_ms is None else moment(record.closed_ms),
        stuck=record.stuck,
        timeout=None if timeout_ms is None else timedelta(milliseconds=timeout_ms),
    )


def moment(ms: int) -> datetime:
    """Return a time of the store as an aware datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)
