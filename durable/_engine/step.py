"""The step: a run and its new messages in, a decision out. Pure: no await, no store, no clock (DESIGN §3).

Messages that a caller sent (signals, cancellations) go first, in their order: so a run that is about to close sees what
was acknowledged before (DESIGN §5). If the code ends while some are left, they are delivered all the same, before the close.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from .._log import (
    ActivityEnded,
    AskQuery,
    OutgoingEnded,
    QueryReply,
    QueueTimeoutDue,
    RequestCancel,
    RunTimeoutDue,
    SendSignal,
    StartRun,
    Terminate,
    TimerDue,
    TotalTimeoutDue,
)
from .._runtime.commands import ActivityCommand, ExternalCommand, LocalActivityCommand
from .._runtime.replay import plainly
from .._runtime.run import Run
from ..codec import failure_of
from ..errors import ActivityTimeoutError, DamagedRecordError, InternalError, RequestFailedError
from ..history import (
    ActivityCompleted,
    ActivityFailed,
    CancelRequested,
    Event,
    ExternalDelivered,
    ExternalFailed,
    FailureData,
    LocalActivityCompleted,
    LocalActivityFailed,
    RunFailed,
    RunReopened,
    RunStarted,
    RunTerminated,
    RunTimedOut,
    SignalReceived,
    TimerFired,
    to_raw,
)
from . import effects, retries
from .decision import Damaged, Decision, Delivery
from .execution import Execution

FLAGS: tuple[str, ...] = ()
"""Engine behaviour that shapes replay and that runs begun by this version have; recorded in `RunStarted` (DESIGN §6)."""

PORTION = 1_000  # messages delivered under one watch: a tenth of a second, if the code does little with each

_CALLERS = (SendSignal, RequestCancel)


def step(
    execution: Execution,
    deliveries: Sequence[Delivery],
    now_ms: int,
    decision: Decision,
    watched: Callable[[Callable[[], None]], None] = plainly,
) -> None:
    """Deliver `deliveries` to `execution` and add what follows to `decision`.

    `watched` runs the code, in portions: that there are many messages must not look like code that never ends.

    Raises what makes the run stuck; the execution and the decision must be thrown away then. If local activities are
    pending afterwards (`pending_local`), the step is not over: run them, `deliver_local` each, then `finish`.
    """
    if execution.run is not None and now_ms < execution.run.now_ms:
        now_ms = execution.run.now_ms  # the store's clock went back: a run's time does not
    if len(deliveries) > 1:
        deliveries = sorted(deliveries, key=_rank)  # queries last: they see the latest state, and one may spoil the run
    for first in range(0, len(deliveries), PORTION):
        portion = deliveries if len(deliveries) <= PORTION else deliveries[first : first + PORTION]
        watched(partial(_handle, execution, portion, now_ms, decision))
    finish(execution, decision)
    if execution.run is not None and execution.run.spoiled:
        execution.dispose()


def _handle(execution: Execution, deliveries: Sequence[Delivery], now_ms: int, decision: Decision) -> None:
    for delivery in deliveries:
        if delivery.due_key:
            decision.dues_removed.append(delivery.due_key)
        handler = _HANDLERS.get(type(delivery.message))
        if handler is None:
            if isinstance(delivery.message, Damaged):
                raise DamagedRecordError(delivery.message.problem)
            raise InternalError(f"no step for a {type(delivery.message).__name__}")
        handler(execution, delivery.message, now_ms, decision)


def finish(execution: Execution, decision: Decision) -> None:
    """Close the run if its code has ended and nothing holds it open."""
    run = execution.run
    if run is None or execution.closed or not run.finished or pending_local(execution):
        return
    outcome = run.outcome()
    if type(outcome) is RunFailed:
        outcome = RunFailed(at=outcome.at, failure=outcome.failure, failed_at=execution.failed_at)
    _close(execution, outcome, decision)


def pending_local(execution: Execution) -> list[LocalActivityCommand]:
    """Return the local activities that the step must run before it is over: none of a run that it has closed."""
    run = execution.run
    if run is None or execution.closed or not run.has_local:
        return []
    return [command for command in run.commands.values() if isinstance(command, LocalActivityCommand)]


def deliver_local(execution: Execution, ended: ActivityEnded, now_ms: int, decision: Decision) -> None:
    """Deliver the outcome of a local activity of this step."""
    run = _live(execution)
    now_ms = max(now_ms, run.now_ms)
    event: Event
    if ended.failure is not None:
        event = LocalActivityFailed(at=now_ms, id=ended.id, failure=ended.failure, attempt=ended.attempt)
    else:
        event = LocalActivityCompleted(at=now_ms, id=ended.id, result=_result(ended), attempt=ended.attempt)
    _deliver(execution, event, decision)


def _result(ended: ActivityEnded) -> msgspec.Raw:
    if ended.result is msgspec.UNSET:
        raise DamagedRecordError(f"the end of activity #{ended.id} has neither a result nor a failure")
    return ended.result


def _rank(delivery: Delivery) -> int:
    kind = type(delivery.message)
    return 0 if kind is StartRun else 1 if kind in _CALLERS else 3 if kind is AskQuery else 2


def _live(execution: Execution) -> Run:
    if execution.run is None:
        raise InternalError(f"run {execution.run_id} has no code in memory")
    return execution.run


def _open(execution: Execution) -> Run | None:
    return None if execution.closed else execution.run


def _deliver(execution: Execution, event: Event, decision: Decision) -> None:
    run = _live(execution)
    events = decision.events
    events.append(event)
    execution.seq += 1
    had_failed = run.failed
    commands = run.deliver(event)
    if run.failed and not had_failed:
        execution.failed_at = execution.seq
    if commands:
        events.extend(commands)
        execution.seq += len(commands)
    if commands or run.given_up:
        effects.add_effects(run, commands, decision)


def _close(execution: Execution, event: Any, decision: Decision) -> None:
    run = _live(execution)
    decision.events.append(event)
    execution.seq += 1
    execution.closed = decision.closed = event.status
    effects.drop_all(run, decision)


def _start(execution: Execution, message: StartRun, now_ms: int, decision: Decision) -> None:
    if execution.run is not None or execution.seq:
        return
    started = RunStarted(
        at=now_ms,
        workflow=message.workflow,
        workflow_id=execution.workflow_id,
        run_id=execution.run_id,
        queue=message.queue,
        args=message.args,
        request=message.request,
        flags=FLAGS,
        timeout_ms=message.timeout_ms,
        parent=message.parent,
    )
    begin(execution, started, decision)
    effects.add_run_timeout(started, now_ms, decision)


def begin(
    execution: Execution, started: RunStarted, decision: Decision, reopenings: Sequence[RunReopened] = ()
) -> None:
    """Take a run's first step, after the reopenings of a run that failed in it before."""
    assert execution.spec is not None
    execution.run = Run(execution.spec, execution.codec, started)
    for reopened in reopenings:
        execution.run.note(reopened)
    _deliver(execution, started, decision)


def redeliver(execution: Execution, event: Event, decision: Decision) -> None:
    """Deliver an event that a reopening voided, once more."""
    _deliver(execution, event, decision)


def _signal(execution: Execution, message: SendSignal, now_ms: int, decision: Decision) -> None:
    run = _open(execution)
    if run is not None and not run.signals.knows(message.request):
        event = SignalReceived(at=now_ms, name=message.name, request=message.request, value=message.value)
        _deliver(execution, event, decision)


def _cancel(execution: Execution, message: RequestCancel, now_ms: int, decision: Decision) -> None:
    run = _open(execution)
    if run is not None and run.cancel_requested is None:  # a second request must not interrupt the cleanup of the first
        _deliver(execution, CancelRequested(at=now_ms, request=message.request, reason=message.reason), decision)


def _terminate(execution: Execution, message: Terminate, now_ms: int, decision: Decision) -> None:
    if _open(execution) is not None:
        _close(execution, RunTerminated(at=now_ms, request=message.request, reason=message.reason), decision)


def _run_timeout(execution: Execution, message: RunTimeoutDue, now_ms: int, decision: Decision) -> None:
    if _open(execution) is not None:
        _close(execution, RunTimedOut(at=now_ms, timeout_ms=message.timeout_ms), decision)


def _timer(execution: Execution, message: TimerDue, now_ms: int, decision: Decision) -> None:
    run = _open(execution)
    if run is not None and message.id in run.commands and not run.finished:
        _deliver(execution, TimerFired(at=now_ms, id=message.id), decision)


def _activity_ended(execution: Execution, message: ActivityEnded, now_ms: int, decision: Decision) -> None:
    command = _pending_activity(execution, message.id, message.attempt)
    if command is None:
        return
    run = _live(execution)
    if message.failure is None:
        effects.drop_limits(run, command, decision)
        event = ActivityCompleted(at=now_ms, id=message.id, result=_result(message), attempt=message.attempt)
        _deliver(execution, event, decision)
        return
    retry = retries.next_attempt(run, command, message, now_ms)
    if retry is not None:
        decision.events.append(retry)
        execution.seq += 1
        run.note(retry)
        retries.add_retry(run, command, retry, message, decision)
        return
    _fail_activity(execution, command, message.failure, message.timeout, now_ms, decision)


def _pending_activity(execution: Execution, command_id: int, attempt: int | None) -> ActivityCommand | None:
    run = _open(execution)
    command = run.commands.get(command_id) if run is not None else None
    if not isinstance(command, ActivityCommand) or (attempt is not None and command.attempt != attempt):
        return None  # a late or repeated answer: the first one counted
    return None if run is None or run.finished else command


def _fail_activity(
    execution: Execution, command: ActivityCommand, failure: FailureData, timeout: str, now_ms: int, decision: Decision
) -> None:
    effects.drop_limits(_live(execution), command, decision)
    event = ActivityFailed(at=now_ms, id=command.id, failure=failure, attempt=command.attempt, timeout=timeout)
    _deliver(execution, event, decision)


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
    run = _live(execution)
    told = {"total": "its attempts and pauses took longer than", "queue": "no worker took it within"}[kind]
    error = ActivityTimeoutError(f"{told} {(limit_ms or 0) / 1000:g} s", activity=command.call.name, kind=kind)
    decision.drop_task(f"{run.run_id}/{command.id}/{command.attempt}")
    _fail_activity(execution, command, failure_of(error, execution.codec).as_wire(), kind, now_ms, decision)


def _outgoing_ended(execution: Execution, message: OutgoingEnded, now_ms: int, decision: Decision) -> None:
    run = _open(execution)
    if run is None or run.finished or not isinstance(run.commands.get(message.id), ExternalCommand):
        return
    if message.failure is None:
        _deliver(execution, ExternalDelivered(at=now_ms, id=message.id), decision)
    else:
        _deliver(execution, ExternalFailed(at=now_ms, id=message.id, failure=message.failure), decision)


def _query(execution: Execution, message: AskQuery, now_ms: int, decision: Decision) -> None:
    run = _live(execution)
    try:
        if run.spoiled:
            raise RequestFailedError("another query has just changed the run, which is loaded anew: ask again")
        reply = QueryReply(result=to_raw(run.query(message.name, message.args)))
    except Exception as error:  # the handler's own: it is told to the caller and changes nothing
        reply = QueryReply(failure=failure_of(error, execution.codec).as_wire())
    decision.replies.append((message.reply, reply))


_HANDLERS: dict[type, Callable[[Execution, Any, int, Decision], None]] = {
    StartRun: _start,
    SendSignal: _signal,
    RequestCancel: _cancel,
    Terminate: _terminate,
    ActivityEnded: _activity_ended,
    AskQuery: _query,
    OutgoingEnded: _outgoing_ended,
    TimerDue: _timer,
    TotalTimeoutDue: _total_timeout,
    QueueTimeoutDue: _queue_timeout,
    RunTimeoutDue: _run_timeout,
}
