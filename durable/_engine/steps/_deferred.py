"""Steps of attempts whose code has ended and left their end to the holder of their token: heartbeats and time limits."""

from __future__ import annotations

import msgspec

from ..._log import ActivityBeat, ActivityEnded, AttemptTimeoutDue, HeartbeatDue
from ..._runtime.commands import ActivityCommand
from ...codec import failure_of
from ...history import ActivityHeartbeatRecorded
from .. import effects
from ..decision import Decision
from ..execution import Execution
from ._activities import fail_attempt, pending_activity
from ._deliver import live, note
from ._table import Handlers


def _beat(execution: Execution, message: ActivityBeat, now_ms: int, decision: Decision) -> None:
    command = pending_activity(execution, message.id, message.attempt)
    if command is None:
        return
    if message.details is not msgspec.UNSET:
        event = ActivityHeartbeatRecorded(
            at=now_ms, id=command.id, details=message.details, attempt=command.attempt
        )  # fmt: skip
        note(execution, event, decision)
    if command.deferred:
        command.heard_ms = now_ms
        effects.expect_heartbeat(live(execution), command, now_ms, decision)


def _attempt_timeout(execution: Execution, message: AttemptTimeoutDue, now_ms: int, decision: Decision) -> None:
    command = pending_activity(execution, message.id, message.attempt)
    if command is not None and command.deferred:
        limit_s = (command.event.timeout_ms or 0) / 1000
        _time_out(execution, command, "attempt", f"no result within {limit_s:g} s", now_ms, decision)


def _heartbeat_timeout(execution: Execution, message: HeartbeatDue, now_ms: int, decision: Decision) -> None:
    command = pending_activity(execution, message.id, message.attempt)
    if command is None or not command.deferred:
        return
    limit_ms = command.event.heartbeat_timeout_ms or 0
    if now_ms < command.heard_ms + limit_ms:  # it was heard of while this due was on its way, which set a later one
        effects.expect_heartbeat(live(execution), command, command.heard_ms, decision)
    else:
        _time_out(execution, command, "heartbeat", f"no heartbeat within {limit_ms / 1000:g} s", now_ms, decision)


def _time_out(
    execution: Execution, command: ActivityCommand, kind: str, told: str, now_ms: int, decision: Decision
) -> None:
    failure = failure_of(TimeoutError(told), execution.codec).as_wire()
    ended = ActivityEnded(
        run_id=execution.run_id, id=command.id, attempt=command.attempt, failure=failure, timeout=kind
    )  # fmt: skip
    fail_attempt(execution, command, ended, now_ms, decision)


HANDLERS: Handlers = {
    ActivityBeat: _beat,
    AttemptTimeoutDue: _attempt_timeout,
    HeartbeatDue: _heartbeat_timeout,
}
