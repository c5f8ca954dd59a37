"""What follows from activities: tasks and time limits."""

from __future__ import annotations

import msgspec

from ..._log import (
    ActivityTask,
    AttemptTimeoutDue,
    CancelDue,
    HeartbeatDue,
    QueueTimeoutDue,
    TotalTimeoutDue,
    due_key,
    task_id,
)
from ..._runtime.commands import ActivityCommand
from ..._runtime.run import Run
from ...history import ActivityCancelRequested, ActivityScheduled
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
    if command.attempt > 1:
        decision.drop_due(due_key(run.run_id, command.id, "retry"))
    if command.cancel_asked:
        decision.drop_due(due_key(run.run_id, command.id, "cancel"))
    _drop_what_fails_it(run, command, decision)


def add_deferral(run: Run, command: ActivityCommand, began_ms: int, now_ms: int, decision: Decision) -> None:
    """The code of an attempt that began at `began_ms` has ended and left its end to others: set its time limits."""
    workflow_id, run_id, event = run.workflow_id, run.run_id, command.event
    if event.timeout_ms is not None:
        limit = AttemptTimeoutDue(workflow_id=workflow_id, run_id=run_id, id=event.id, attempt=command.attempt)
        decision.add_due(limit, began_ms + event.timeout_ms)
    expect_heartbeat(run, command, now_ms, decision)


def expect_heartbeat(run: Run, command: ActivityCommand, now_ms: int, decision: Decision) -> None:
    """A deferred attempt is alive at `now_ms`: set the time by which it must say so again, if it must."""
    if command.event.heartbeat_timeout_ms is not None:
        limit = HeartbeatDue(
            workflow_id=run.workflow_id, run_id=run.run_id, id=command.id, attempt=command.attempt
        )  # fmt: skip
        decision.add_due(limit, now_ms + command.event.heartbeat_timeout_ms)


def drop_deferral(run: Run, command: ActivityCommand, decision: Decision) -> None:
    """Take back the time limits of a deferred attempt."""
    if command.deferred:
        if command.event.timeout_ms is not None:
            decision.drop_due(due_key(run.run_id, command.id, "attempt"))
        if command.event.heartbeat_timeout_ms is not None:
            decision.drop_due(due_key(run.run_id, command.id, "heartbeat"))


def _add(run: Run, event: ActivityScheduled, decision: Decision) -> None:
    add_activity(run, event, 1, decision)


def _ask_to_cancel(run: Run, event: ActivityCancelRequested, decision: Decision) -> None:
    """The code has cancelled an activity and waits for its end (else the command is gone: see `_drop`)."""
    command = run.commands.get(event.id)
    if not isinstance(command, ActivityCommand) or command.deferred:
        return  # the holder of its token is told when it asks
    task = task_id(run.run_id, command.id, command.attempt)
    if task in decision.tasks or run.now_ms < command.retry_due_ms:
        # No worker has seen it: it was scheduled in this very step, or waits for its retry.
        decision.drop_task(task)
        decision.ended_by_cancel.append(command.id)
        return
    _mark(run, command, task, decision)


def _mark(run: Run, command: ActivityCommand, task: str, decision: Decision) -> None:
    """Have whoever holds the task told to stop; if nobody does, the due finds that, for a marked task never begins."""
    decision.tasks_cancelled.append(task)
    due = CancelDue(workflow_id=run.workflow_id, run_id=run.run_id, id=command.id, attempt=command.attempt)
    decision.add_due(due, run.now_ms)


def _drop(run: Run, command: ActivityCommand, decision: Decision) -> None:
    if command.abandoned:
        _drop_what_fails_it(run, command, decision)
        return
    decision.drop_task(task_id(run.run_id, command.id, command.attempt))
    drop_limits(run, command, decision)


def _drop_what_fails_it(run: Run, command: ActivityCommand, decision: Decision) -> None:
    """Nobody asks any more how long the attempt takes, or the one that waits for its retry."""
    if command.event.total_timeout_ms is not None:
        decision.drop_due(due_key(run.run_id, command.id, "total"))
    if command.event.queue_timeout_ms is not None:
        decision.drop_due(due_key(run.run_id, command.id, "queue"))
    drop_deferral(run, command, decision)


def _restore(run: Run, command: ActivityCommand, decision: Decision) -> None:
    add_activity(run, command.event, command.attempt, decision, since_ms=command.since_ms)
    if command.cancel_asked:
        _mark(run, command, task_id(run.run_id, command.id, command.attempt), decision)


FAMILY = Family(
    add={ActivityScheduled: _add, ActivityCancelRequested: _ask_to_cancel},
    drop={ActivityCommand: _drop},
    restore={ActivityCommand: _restore},
)
