"""Whether and when an activity is tried again. Pure: the jitter comes from the run's id, so a repeated step decides the same."""

from __future__ import annotations

import msgspec

from .._log import ActivityEnded, QueueTimeoutDue, RetryDue, due_key
from .._runtime.commands import ActivityCommand
from .._runtime.entropy import run_random
from .._runtime.run import Run
from ..codec import Failure
from ..history import ActivityRetryScheduled
from ..retry import DEFAULT_RETRY, RetryPolicy
from .decision import Decision
from .effects import activity_task


def next_attempt(
    run: Run, command: ActivityCommand, ended: ActivityEnded, now_ms: int
) -> ActivityRetryScheduled | None:
    """Return the event that schedules the attempt after the failed one, or None if it was the last."""
    assert ended.failure is not None
    failure = Failure.from_wire(ended.failure)
    policy = DEFAULT_RETRY if command.event.retry is None else RetryPolicy.from_wire(command.event.retry)
    counted = command.attempt - command.attempts_before
    names = (failure.type.rpartition(".")[2], *failure.bases)
    if failure.retryable is False or policy.gives_up(counted, names):
        return None
    if failure.retry_after_ms is not None:
        delay_ms = failure.retry_after_ms
    else:
        delay_ms = policy.delay_ms(counted, jitter=run_random(f"{run.run_id}/{command.id}/{command.attempt}").random())
    due_ms = now_ms + delay_ms
    total_ms = command.event.total_timeout_ms
    if total_ms is not None and due_ms >= command.since_ms + total_ms:
        return None  # the next attempt could not begin within the total time
    return ActivityRetryScheduled(
        at=now_ms, id=command.id, attempt=command.attempt, due_ms=due_ms, failure=ended.failure
    )


def add_retry(
    run: Run,
    command: ActivityCommand,
    retry: ActivityRetryScheduled,
    details: msgspec.Raw | msgspec.UnsetType,
    decision: Decision,
) -> None:
    """Set the due that puts the next attempt on its queue. `command.attempt` is the next one already.

    `details` is what the one before said last by `heartbeat`.
    """
    task = activity_task(run, command.event, command.attempt, details=details)
    item = RetryDue(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=command.id,
        queue=command.event.queue,
        task=task,
        queue_timeout_ms=command.event.queue_timeout_ms,
    )
    if command.event.queue_timeout_ms is not None:
        decision.drop_due(due_key(run.run_id, command.id, "queue"))
    decision.add_due(item, retry.due_ms)


def queue_limit(item: RetryDue, now_ms: int) -> tuple[QueueTimeoutDue, int] | None:
    """Return the limit on the queueing of the attempt that `item` puts on its queue now, and when it is due; None for no limit."""
    if item.queue_timeout_ms is None:
        return None
    limit = QueueTimeoutDue(workflow_id=item.workflow_id, run_id=item.run_id, id=item.id, attempt=item.task.attempt)
    return limit, now_ms + item.queue_timeout_ms
