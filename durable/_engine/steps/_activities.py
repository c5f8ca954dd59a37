"""Steps of activities: an attempt ended, or its time is up."""

from __future__ import annotations

import msgspec

from ..._log import ActivityEnded, QueueTimeoutDue, TotalTimeoutDue
from ..._runtime.commands import ActivityCommand
from ...codec import failure_of
from ...errors import ActivityTimeoutError, DamagedRecordError
from ...history import ActivityCompleted, ActivityFailed, FailureData
from .. import effects, retries
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, live, open_run
from ._table import Handlers


def _activity_ended(execution: Execution, message: ActivityEnded, now_ms: int, decision: Decision) -> None:
    command = _pending_activity(execution, message.id, message.attempt)
    if command is None:
        return
    run = live(execution)
    if message.failure is None:
        effects.drop_limits(run, command, decision)
        event = ActivityCompleted(at=now_ms, id=message.id, result=result_of(message), attempt=message.attempt)
        deliver(execution, event, decision)
        return
    retry = retries.next_attempt(run, command, message, now_ms)
    if retry is not None:
        decision.events.append(retry)
        execution.seq += 1
        run.note(retry)
        retries.add_retry(run, command, retry, message, decision)
        return
    _fail_activity(execution, command, message.failure, message.timeout, now_ms, decision)


def result_of(ended: ActivityEnded) -> msgspec.Raw:
    """Return the result of an attempt that did not fail. Raises `DamagedRecordError` if there is none."""
    if ended.result is msgspec.UNSET:
        raise DamagedRecordError(f"the end of activity #{ended.id} has neither a result nor a failure")
    return ended.result


def _pending_activity(execution: Execution, command_id: int, attempt: int | None) -> ActivityCommand | None:
    run = open_run(execution)
    command = run.commands.get(command_id) if run is not None else None
    if not isinstance(command, ActivityCommand) or (attempt is not None and command.attempt != attempt):
        return None  # a late or repeated answer: the first one counted
    return None if run is None or run.finished else command


def _fail_activity(
    execution: Execution, command: ActivityCommand, failure: FailureData, timeout: str, now_ms: int, decision: Decision
) -> None:
    effects.drop_limits(live(execution), command, decision)
    event = ActivityFailed(at=now_ms, id=command.id, failure=failure, attempt=command.attempt, timeout=timeout)
    deliver(execution, event, decision)


def _total_timeout(execution: Execution, message: TotalTimeoutDue, now_ms: int, decision: Decision) -> None:
    command = _pending_activity(execution, message.id, None)
    if command is not None:
        _time_out(execution, command, "total", command.event.total_timeout_ms, now_ms, decision)


def _queue_timeout(execution: Execution, message: QueueTimeoutDue, now_ms: int, decision: Decision) -> None:
    command = _pending_activity(execution, message.id, message.attempt)
    if command is not None:
        _time_out(execution, command, "queue", command.event.queue_timeout_ms, now_ms, decision)


def _time_out(
    execution: Execution, command: ActivityCommand, kind: str, limit_ms: int | None, now_ms: int, decision: Decision
) -> None:
    run = live(execution)
    told = {"total": "its attempts and pauses took longer than", "queue": "no worker took it within"}[kind]
    error = ActivityTimeoutError(f"{told} {(limit_ms or 0) / 1000:g} s", activity=command.call.name, kind=kind)
    decision.drop_task(f"{run.run_id}/{command.id}/{command.attempt}")
    _fail_activity(execution, command, failure_of(error, execution.codec).as_wire(), kind, now_ms, decision)


HANDLERS: Handlers = {
    ActivityEnded: _activity_ended,
    TotalTimeoutDue: _total_timeout,
    QueueTimeoutDue: _queue_timeout,
}
