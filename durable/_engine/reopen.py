"""Reopening a failed run at the point of failure, with the code as it is now (DESIGN §5, `handle.retry`)."""

from __future__ import annotations

from .._log import QueryReply, RetryRun
from .._runtime.commands import ActivityCommand
from .._runtime.run import replayed
from ..codec import failure_of
from ..errors import RequestFailedError
from ..history import ActivityFailed, Event, RecordedEvent, RunFailed, RunReopened, RunStarted
from ..stores import Store
from . import effects
from .decision import Decision
from .execution import Execution, effective
from .loading import read_history
from .step import begin, finish, redeliver


async def reopen(store: Store, partition: int, execution: Execution, message: RetryRun) -> tuple[Execution, Decision]:
    """Return the reopened execution and the decision that says so, or a decision that only answers why not."""
    history = await read_history(store, partition, execution.run_id)
    decision = Decision()
    if not history or not isinstance(history[-1].event, RunFailed) or message.run_id not in (None, execution.run_id):
        return execution, _refusal(execution, decision, message)
    failed = history[-1].event
    counted = effective(history)
    failing = _failing(counted, failed)
    execution.dispose()
    kept = [recorded for recorded in counted if recorded.seq < failing.seq]
    fresh = Execution(
        execution.workflow_id, execution.run_id, execution.spec, execution.codec, seq=len(history), note=execution.note
    )
    if kept and fresh.spec is not None:
        fresh.run = replayed(fresh.spec, fresh.codec, [recorded.event for recorded in kept])
    _go_on(fresh, failing, message, store.now_ms(), decision)
    decision.reopened = True
    decision.retry_reply = message.reply
    decision.replies.append((message.reply, QueryReply()))
    return fresh, decision


def _failing(counted: list[RecordedEvent], failed: RunFailed) -> RecordedEvent:
    """Return the inbound event at whose delivery the code failed."""
    inbound = [recorded for recorded in counted if recorded.event.role == "inbound"]
    return next((r for r in reversed(inbound) if r.seq == failed.failed_at), inbound[-1])


def _go_on(execution: Execution, failing: RecordedEvent, message: RetryRun, now_ms: int, decision: Decision) -> None:
    """Record the reopening, put back what was pending, and deliver anew what the code failed at."""
    event = failing.event
    command = None
    if isinstance(event, ActivityFailed) and execution.run is not None:
        command = execution.run.commands.get(event.id)
    tried_anew = isinstance(command, ActivityCommand)
    reopened = RunReopened(
        at=now_ms,
        request=message.request,
        voids_from=failing.seq,
        activity=event.id if tried_anew and isinstance(event, ActivityFailed) else None,
        attempt=event.attempt + 1 if tried_anew and isinstance(event, ActivityFailed) else 1,
    )
    decision.events.append(reopened)
    execution.seq += 1
    if execution.run is not None:
        execution.run.now_ms = max(now_ms, execution.run.now_ms)
        execution.run.note(reopened)
        effects.add_all(execution.run, decision)
    if tried_anew:
        return
    again = _at(event, now_ms)
    if isinstance(again, RunStarted):
        begin(execution, again, decision)
        effects.add_run_timeout(again, now_ms, decision)
    else:
        _forget_pending(execution, again, decision)
        redeliver(execution, again, decision)
    finish(execution, decision)


def _forget_pending(execution: Execution, event: Event, decision: Decision) -> None:
    """What is about to be resolved by `event` needs no task and no due."""
    run = execution.run
    command = run.commands.get(getattr(event, "id", 0)) if run is not None else None
    if run is not None and command is not None:
        effects.drop_command(run, command, decision)


def _at(event: Event, now_ms: int) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return type(event)(**{**fields, "at": now_ms})


def _refusal(execution: Execution, decision: Decision, message: RetryRun) -> Decision:
    status = execution.closed or "running"
    if message.run_id not in (None, execution.run_id):
        told = f"run {message.run_id} is not the latest one of its workflow id, which is {execution.run_id} ({status})"
    else:
        told = f"run {execution.run_id} is {status}"
    error = RequestFailedError(f"only a failed run can be retried: {told}")
    decision.replies.append((message.reply, QueryReply(failure=failure_of(error, execution.codec).as_wire())))
    return decision
