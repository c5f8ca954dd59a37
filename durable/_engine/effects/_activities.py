"""What follows from activities: tasks and time limits."""

from __future__ import annotations

import msgspec

from ..._log import ActivityTask, QueueTimeoutDue, TotalTimeoutDue, task_id
from ..._runtime.commands import ActivityCommand
from ..._runtime.run import Run
from ...history import ActivityScheduled
from ..decision import Decision
from ._family import Family


def add_activity(run: Run, event: ActivityScheduled, attempt: int, decision: Decision, *, since_ms: int = 0) -> None:
    """Put an attempt on its queue, with its time limits; the total one counts from `since_ms`, or from the scheduling."""
    task = activity_task(run, event, attempt)
    decision.tasks[task.task_id] = (task, event.queue)
    workflow_id, run_id = run.workflow_id, run.run_id
    if event.total_timeout_ms is not None:
        total = TotalTimeoutDue(workflow_id=workflow_id, run_id=run_id, id=event.id)
        decision.add_due(total, (since_ms or event.at) + event.total_timeout_ms)
    if event.queue_timeout_ms is not None:
        waiting = QueueTimeoutDue(workflow_id=workflow_id, run_id=run_id, id=event.id, attempt=attempt)
        decision.add_due(waiting, run.now_ms + event.queue_timeout_ms)


def activity_task(
    run: Run, event: ActivityScheduled, attempt: int, *, details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
) -> ActivityTask:
    """Return the task for `attempt` of the activity that `event` scheduled."""
    return ActivityTask(
        workflow=run.spec.name,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=event.id,
        activity=event.activity,
        args=event.args,
        attempt=attempt,
        scheduled_ms=event.at,
        timeout_ms=event.timeout_ms,
        heartbeat_timeout_ms=event.heartbeat_timeout_ms,
        headers=event.headers,
        details=details,
    )


def drop_limits(run: Run, command: ActivityCommand, decision: Decision) -> None:
    """Take back the dues of an activity that has ended: its limits and its retry."""
    key = f"{run.run_id}/{command.id}"
    if command.attempt > 1:
        decision.drop_due(f"{key}/retry")
    if command.event.total_timeout_ms is not None:
        decision.drop_due(f"{key}/total")
    if command.event.queue_timeout_ms is not None:
        decision.drop_due(f"{key}/queue")


def _add(run: Run, event: ActivityScheduled, decision: Decision) -> None:
    add_activity(run, event, 1, decision)


def _drop(run: Run, command: ActivityCommand, decision: Decision) -> None:
    decision.drop_task(task_id(run.run_id, command.id, command.attempt))
    drop_limits(run, command, decision)


def _restore(run: Run, command: ActivityCommand, decision: Decision) -> None:
    add_activity(run, command.event, command.attempt, decision, since_ms=command.since_ms)


FAMILY = Family(
    add={ActivityScheduled: _add},
    drop={ActivityCommand: _drop},
    restore={ActivityCommand: _restore},
)
