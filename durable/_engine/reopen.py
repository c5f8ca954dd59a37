"""Reopening a failed run at the point of failure, with the code as it is now (DESIGN §5, `handle.retry`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from .._log import QueryReply, RetryRun, write_body
from .._runtime.replay import plainly, replayed
from .._runtime.run import Run
from ..codec import failure_of
from ..errors import RequestFailedError
from ..history import (
    ActivityFailed,
    CancelRequested,
    ChildFailed,
    Event,
    LocalActivityFailed,
    RecordedEvent,
    RunFailed,
    RunReopened,
    RunStarted,
    SignalReceived,
    UpdateAccepted,
    effective,
)
from ..stores import Store
from . import effects
from .decision import Decision
from .execution import Execution
from .loading import read_history
from .steps import begin, deliver, finish


async def reopen(
    store: Store,
    partition: int,
    execution: Execution,
    message: RetryRun,
    watched: Callable[[Callable[[], None]], None] = plainly,
) -> tuple[Execution, Decision]:
    """Return the reopened execution and the decision that says so, or a decision that only answers why not.

    What `execution` has in memory is not used: its code may have changed, and need not lead to the failure any more. Local
    activities may be pending afterwards: see `steps.step`, also for `watched`. Raises what makes the run stuck.
    """
    history = await read_history(store, partition, execution.run_id)
    decision = Decision()
    if any(isinstance(r.event, RunReopened) and r.event.request == message.request for r in history):
        decision.replies.append((message.reply, QueryReply()))  # a repeat: what it asked for was done
        return execution, decision
    if (
        not history
        or not isinstance(history[-1].event, RunFailed)
        or message.run_id not in (None, execution.run_id)
        or execution.superseded
    ):
        return execution, _refusal(execution, decision, message)
    failed = history[-1].event
    counted = effective(history)
    failing = _failing(counted, failed)
    execution.dispose()
    kept = [recorded.event for recorded in counted if recorded.seq < failing.seq]
    voided = [recorded.event for recorded in counted if recorded.seq > failing.seq]
    fresh = Execution(
        execution.workflow_id, execution.run_id, execution.spec, execution.codec, seq=len(history), note=execution.note
    )
    assert fresh.spec is not None
    now_ms = store.now_ms()
    number = 1 + sum(isinstance(recorded.event, RunReopened) for recorded in history)
    body = msgspec.structs.replace(execution.body, reopenings=execution.body.reopenings + 1, reopened_ms=now_ms)
    fresh.body, fresh.attributes, decision.body = body, execution.attributes, write_body(body)
    try:
        if any(event.role == "inbound" for event in kept):
            fresh.run = replayed(fresh.spec, fresh.codec, kept, watched)
        watched(lambda: _go_on(fresh, kept, failing, failed, message, now_ms, number, decision))
        for event in voided:
            if isinstance(
                event, SignalReceived | UpdateAccepted | CancelRequested
            ):  # acknowledged, and in vain: the code had ended
                again = _at(event, _now_ms(fresh))
                watched(partial(deliver, fresh, again, decision))
        if fresh.run is not None:
            fresh.run.record_changed = True  # the record may have attributes that the voided part set
        finish(fresh, decision)
    except BaseException:
        fresh.dispose()
        raise
    decision.reopened = True
    decision.retry_reply = message.reply
    decision.replies.append((message.reply, QueryReply()))
    return fresh, decision


def _failing(counted: list[RecordedEvent], failed: RunFailed) -> RecordedEvent:
    """Return the inbound event at whose delivery the code failed."""
    inbound = [recorded for recorded in counted if recorded.event.role == "inbound"]
    return next((r for r in reversed(inbound) if r.seq == failed.failed_at), inbound[-1])


def _go_on(
    execution: Execution,
    kept: list[Event],
    failing: RecordedEvent,
    failed: RunFailed,
    message: RetryRun,
    now_ms: int,
    number: int,
    decision: Decision,
) -> None:
    """Record the reopening, put back what was pending, and deliver anew what the code failed at."""
    event = failing.event
    anew = event if isinstance(event, ActivityFailed) else None
    now_ms = max(now_ms, event.at)
    deadline_ms = _deadline_ms([*kept, event])
    reopened = RunReopened(
        at=now_ms,
        request=message.request,
        voids_from=failing.seq,
        activity=anew.id if anew is not None else None,
        attempt=anew.attempt + 1 if anew is not None else 1,
        number=number,
        deadline_ms=None if deadline_ms is None else deadline_ms + max(0, now_ms - failed.at),
    )
    decision.events.append(reopened)
    execution.seq += 1
    again = _at(event, now_ms)
    if isinstance(again, RunStarted):
        begin(execution, again, decision, [*(e for e in kept if isinstance(e, RunReopened)), reopened])
        assert execution.run is not None
        effects.add_run_timeout(execution.run, now_ms, decision)
        return
    run = execution.run
    assert run is not None
    run.now_ms = now_ms
    run.note(reopened)
    effects.add_all(run, decision)
    if not isinstance(event, ActivityFailed | LocalActivityFailed | ChildFailed):
        # Those are pending again: an activity is tried anew, a child is asked anew, as it may have been reopened itself.
        _forget_pending(run, again, decision)
        deliver(execution, again, decision)


def _deadline_ms(events: list[Event]) -> int | None:
    """Return when the chain's time is over as `events` have it: by the start, or as the last reopening has put it off."""
    found = [event.deadline_ms for event in events if isinstance(event, RunStarted | RunReopened)]
    return max((deadline_ms for deadline_ms in found if deadline_ms is not None), default=None)


def _forget_pending(run: Run, event: Event, decision: Decision) -> None:
    """What is about to be resolved by `event` needs no task and no due."""
    command = run.commands.get(getattr(event, "id", 0))
    if command is not None:
        effects.drop_command(run, command, decision)


def _now_ms(execution: Execution) -> int:
    return execution.run.now_ms if execution.run is not None else 0


def _at(event: Event, now_ms: int) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return type(event)(**{**fields, "at": now_ms})


def _refusal(execution: Execution, decision: Decision, message: RetryRun) -> Decision:
    status = execution.closed or "running"
    if message.run_id not in (None, execution.run_id):
        told = f"run {message.run_id} is not the latest one of its workflow id, which is {execution.run_id} ({status})"
    elif execution.superseded:
        told = f"run {execution.run_id} is not the latest one of its workflow id, which is {execution.superseded}"
    else:
        told = f"run {execution.run_id} is {status}"
    error = RequestFailedError(f"only a failed run can be retried: {told}")
    decision.replies.append((message.reply, QueryReply(failure=failure_of(error, execution.codec).as_wire())))
    return decision
