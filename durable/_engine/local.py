"""Local activities with their retries, while their step is held open."""

from __future__ import annotations

from collections.abc import Callable

from .._clock import Clock
from .._log import ActivityEnded, ActivityTask
from .._runtime.commands import LocalActivityCommand
from ..codec import Failure
from ..retry import DEFAULT_RETRY
from ._local import LocalTasks
from .execution import Execution


async def run_local_activity(
    local: LocalTasks, clock: Clock, execution: Execution, command: LocalActivityCommand
) -> ActivityEnded:
    """Run a local activity until it succeeds or its policy gives up, and return how it ended."""
    attempt = 0
    while True:
        attempt += 1
        ended = await local.run_local(local_task(execution, command, attempt))
        pause_ms = local_pause_ms(command, ended, clock.jitter)
        if pause_ms is None:
            return ended
        await clock.sleep(pause_ms / 1000)


def local_task(execution: Execution, command: LocalActivityCommand, attempt: int) -> ActivityTask:
    """Return the task for `attempt` of a local activity."""
    run = execution.run
    assert run is not None
    return ActivityTask(
        workflow=run.spec.name,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=command.id,
        activity=command.event.activity,
        args=command.event.args,
        attempt=attempt,
        scheduled_ms=command.event.at,
        timeout_ms=command.call.options.timeout_ms,
        headers=command.event.headers,
    )


def local_pause_ms(command: LocalActivityCommand, ended: ActivityEnded, jitter: Callable[[], float]) -> int | None:
    """Return the pause before the attempt after the one that `ended`, or None if that was the last: it succeeded or is given up."""
    if ended.failure is None:
        return None
    policy = command.call.options.retry or DEFAULT_RETRY
    failure = Failure.from_wire(ended.failure)
    names = (failure.type.rpartition(".")[2], *failure.bases)
    if failure.retryable is False or policy.gives_up(ended.attempt, names):
        return None
    if failure.retry_after_ms is not None:
        return failure.retry_after_ms
    return policy.delay_ms(ended.attempt, jitter=jitter())
