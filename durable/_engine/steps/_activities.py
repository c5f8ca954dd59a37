"""Steps of activities: an attempt ended or was left to others, or its time is up."""

from __future__ import annotations

import msgspec

from ..._log import ActivityEnded, CancelDue, QueueTimeoutDue, TotalTimeoutDue, task_id
from ..._runtime.commands import ActivityCommand
from ...codec import failure_of
from ...errors import ActivityError, ActivityTimeoutError, CodecError, DamagedRecordError
from ...history import ActivityCompleted, ActivityDeferred, ActivityFailed, FailureData, from_raw
from .. import effects, retries
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, end_cancelled, live, note, open_run
from ._table import Handlers


def _activity_ended(execution: Execution, message: ActivityEnded, now_ms: int, decision: Decision) -> None:
    command = pending_activity(execution, message.id, message.attempt)
    if command is None:
        return
    run = live(execution)
    if message.how == "deferred":
        _defer(execution, command, message, now_ms, decision)
        return
    if message.by_token:
        if not command.deferred:  # the worker has it still: what it says comes too late
            decision.drop_task(task_id(run.run_id, command.id, command.attempt))
        message = _checked(execution, command, message)
    if message.how == "cancelled" and command.cancel_asked:
        end_cancelled(execution, command.id, now_ms, decision)
    elif message.how == "cancelled":
        _fail_activity(execution, command, _stopped(execution, command), "", now_ms, decision)
    elif message.failure is not None:
        fail_attempt(execution, command, message, now_ms, decision)
    else:
        effects.drop_limits(run, command, decision)
        event = ActivityCompleted(at=now_ms, id=message.id, result=result_of(message), attempt=message.attempt)
        deliver(execution, event, decision)


def _checked(execution: Execution, command: ActivityCommand, message: ActivityEnded) -> ActivityEnded:
    """Return `message`, or a failure in its place if its result is not of the activity's type: who gave it may not have known."""
    if message.failure is not None or message.how:
        return message
    call = command.call
    try:
        call.signature.decode_result(execution.codec, from_raw(result_of(message)), what=f"the result of {call.what}")
    except CodecError as error:
        failure = failure_of(error, execution.codec).as_wire()
        return ActivityEnded(run_id=message.run_id, id=message.id, attempt=message.attempt, failure=failure)
    return message


def _defer(
    execution: Execution, command: ActivityCommand, message: ActivityEnded, now_ms: int, decision: Decision
) -> None:
    if command.deferred:
        return  # a repeat
    event = ActivityDeferred(at=now_ms, id=command.id, attempt=command.attempt, details=message.details)
    note(execution, event, decision)
    effects.add_deferral(live(execution), command, message.started_ms or now_ms, now_ms, decision)


def _stopped(execution: Execution, command: ActivityCommand) -> FailureData:
    """Return the failure of an attempt that says it stopped because it was told to, which nobody did."""
    text = f"activity {command.call.name!r} was stopped by whoever was to complete it; nobody had cancelled it"
    return failure_of(ActivityError(text, activity=command.call.name), execution.codec).as_wire()


def fail_attempt(
    execution: Execution, command: ActivityCommand, message: ActivityEnded, now_ms: int, decision: Decision
) -> None:
    """An attempt failed: it is tried again if its policy says so, and nobody has cancelled it."""
    run = live(execution)
    assert message.failure is not None
    retry = None if command.cancel_asked else retries.next_attempt(run, command, message, now_ms)
    if retry is None:
        _fail_activity(execution, command, message.failure, message.timeout, now_ms, decision)
        return
    details = command.details if message.details is msgspec.UNSET else message.details
    effects.drop_deferral(run, command, decision)
    note(execution, retry, decision)
    retries.add_retry(run, command, retry, details, decision)


def result_of(ended: ActivityEnded) -> msgspec.Raw:
    """Return the result of an attempt that did not fail. Raises `DamagedRecordError` if there is none."""
    if ended.result is msgspec.UNSET:
        raise DamagedRecordError(f"the end of activity #{ended.id} has neither a result nor a failure")
    return ended.result


def pending_activity(execution: Execution, command_id: int, attempt: int | None) -> ActivityCommand | None:
    """Return the activity if it is pending, at `attempt` (None: at any), and the code has not ended."""
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
    command = pending_activity(execution, message.id, None)
    if command is not None:
        _time_out(execution, command, "total", command.event.total_timeout_ms, now_ms, decision)


def _queue_timeout(execution: Execution, message: QueueTimeoutDue, now_ms: int, decision: Decision) -> None:
    command = pending_activity(execution, message.id, message.attempt)
    if command is not None:
        _time_out(execution, command, "queue", command.event.queue_timeout_ms, now_ms, decision)


def _not_held(execution: Execution, message: CancelDue, now_ms: int, decision: Decision) -> None:
    """No worker holds an attempt that was marked as cancelled, and none will begin it: it has ended."""
    command = pending_activity(execution, message.id, message.attempt)
    if command is not None and command.cancel_asked and not command.deferred:
        decision.drop_task(task_id(live(execution).run_id, command.id, command.attempt))
        end_cancelled(execution, command.id, now_ms, decision)


def _time_out(
    execution: Execution, command: ActivityCommand, kind: str, limit_ms: int | None, now_ms: int, decision: Decision
) -> None:
    run = live(execution)
    told = {"total": "its attempts and pauses took longer than", "queue": "no worker took it within"}[kind]
    error = ActivityTimeoutError(f"{told} {(limit_ms or 0) / 1000:g} s", activity=command.call.name, kind=kind)
    decision.drop_task(task_id(run.run_id, command.id, command.attempt))
    _fail_activity(execution, command, failure_of(error, execution.codec).as_wire(), kind, now_ms, decision)


HANDLERS: Handlers = {
    ActivityEnded: _activity_ended,
    TotalTimeoutDue: _total_timeout,
    QueueTimeoutDue: _queue_timeout,
    CancelDue: _not_held,
}
