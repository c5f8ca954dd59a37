"""Local activities with their retries, while their step is held open."""

from __future__ import annotations

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
    run = execution.run
    assert run is not None
    policy = command.call.options.retry or DEFAULT_RETRY
    attempt = 0
    while True:
        attempt += 1
        task = ActivityTask(
            workflow=run.spec.name,
            workflow_id=run.workflow_id,
            run_id=run.run_id,
            id=command.id,
            activity=command.event.activity,
            args=command.event.args,
            attempt=attempt,
            scheduled_ms=command.event.at,
            timeout_ms=command.call.options.timeout_ms,
        )
        ended = await local.run_local(task)
        if ended.failure is None:
            return ended
        failure = Failure.from_wire(ended.failure)
        names = (failure.type.rpartition(".")[2], *failure.bases)
        if failure.retryable is False or policy.gives_up(attempt, names):
            return ended
        pause_ms = failure.retry_after_ms
        if pause_ms is None:
            pause_ms = policy.delay_ms(attempt, jitter=clock.jitter())
        await clock.sleep(pause_ms / 1000)
