"""What follows from commands: tasks, dues, and their removal. Pure."""

from __future__ import annotations

import msgspec

from .._log import (
    ActivityTask,
    OutgoingMessage,
    QueueTimeoutDue,
    RequestCancel,
    RunTimeoutDue,
    SendSignal,
    TimerDue,
    TotalTimeoutDue,
    outgoing_key,
    task_id,
)
from .._runtime.commands import ActivityCommand, Command, TimerCommand
from .._runtime.run import Run
from ..history import (
    ActivityScheduled,
    Event,
    ExternalCancelRequested,
    ExternalSignalRequested,
    RunStarted,
    TimerStarted,
)
from .decision import Decision


def add_effects(run: Run, commands: list[Event], decision: Decision) -> None:
    """Add to `decision` what the `commands` that `run` issued in a live step, and those it gave up, lead to."""
    for event in commands:
        if isinstance(event, ActivityScheduled):
            add_activity(run, event, 1, decision)
        elif isinstance(event, TimerStarted):
            add_timer(run, event, decision)
        elif isinstance(event, ExternalSignalRequested | ExternalCancelRequested):
            add_outgoing(run, event, decision)
    if run.given_up:
        for command in run.given_up:
            drop_command(run, command, decision)
        run.given_up.clear()


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
        details=details,
    )


def add_timer(run: Run, event: TimerStarted, decision: Decision) -> None:
    """Set the due of a timer."""
    decision.add_due(TimerDue(workflow_id=run.workflow_id, run_id=run.run_id, id=event.id), event.due_ms)


def add_outgoing(run: Run, event: ExternalSignalRequested | ExternalCancelRequested, decision: Decision) -> None:
    """Put a message to another run into the outbox."""
    request = outgoing_key(run.run_id, event.id)
    message: SendSignal | RequestCancel
    if isinstance(event, ExternalSignalRequested):
        message = SendSignal(name=event.name, value=event.value, request=request)
    else:
        message = RequestCancel(request=request, reason=event.reason)
    item = OutgoingMessage(
        workflow_id=run.workflow_id, run_id=run.run_id, id=event.id, target=event.workflow_id, message=message
    )
    decision.outgoing.append(item)


def add_run_timeout(started: RunStarted, at: int, decision: Decision) -> None:
    """Set the due of the run's time limit, counted from `at`."""
    if started.timeout_ms is not None:
        item = RunTimeoutDue(workflow_id=started.workflow_id, run_id=started.run_id, timeout_ms=started.timeout_ms)
        decision.add_due(item, at + started.timeout_ms)


def drop_command(run: Run, command: Command, decision: Decision) -> None:
    """Take back what a pending command led to."""
    if isinstance(command, ActivityCommand):
        decision.drop_task(task_id(run.run_id, command.id, command.attempt))
        drop_limits(run, command, decision)
    elif isinstance(command, TimerCommand):
        decision.drop_due(f"{run.run_id}/{command.id}/timer")


def drop_limits(run: Run, command: ActivityCommand, decision: Decision) -> None:
    """Take back the dues of an activity that has ended: its limits and its retry."""
    key = f"{run.run_id}/{command.id}"
    if command.attempt > 1:
        decision.drop_due(f"{key}/retry")
    if command.event.total_timeout_ms is not None:
        decision.drop_due(f"{key}/total")
    if command.event.queue_timeout_ms is not None:
        decision.drop_due(f"{key}/queue")


def drop_all(run: Run, decision: Decision) -> None:
    """The run closes: take back all that is pending, and its time limit."""
    for command in run.commands.values():
        drop_command(run, command, decision)
    if run.started.timeout_ms is not None:
        decision.drop_due(f"{run.run_id}/timeout")


def add_all(run: Run, decision: Decision) -> None:
    """The run was reopened: put back all that is pending, and its time limit."""
    for command in run.commands.values():
        if isinstance(command, ActivityCommand):
            add_activity(run, command.event, command.attempt, decision, since_ms=command.since_ms)
        elif isinstance(command, TimerCommand):
            add_timer(run, command.event, decision)
    add_run_timeout(run.started, run.now_ms, decision)
