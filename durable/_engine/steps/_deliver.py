"""What every step handler does: find the run, deliver an event to it, close it."""

from __future__ import annotations

from typing import Any

from ..._runtime.commands import ActivityCommand
from ..._runtime.run import Run
from ...errors import InternalError
from ...history import ActivityCancelled, Event
from .. import effects
from ..decision import Decision
from ..execution import Execution


def live(execution: Execution) -> Run:
    """Return the run, which must be in memory."""
    if execution.run is None:
        raise InternalError(f"run {execution.run_id} has no code in memory")
    return execution.run


def open_run(execution: Execution) -> Run | None:
    """Return the run, or None if it is closed."""
    return None if execution.closed else execution.run


def deliver(execution: Execution, event: Event, decision: Decision) -> None:
    """Deliver an inbound event: it and the commands that follow go into the decision.

    So does the end of each activity that these commands cancel and that no worker has seen.
    """
    _deliver(execution, event, decision)
    while decision.ended_by_cancel:
        end_cancelled(execution, decision.ended_by_cancel.pop(0), event.at, decision)


def end_cancelled(execution: Execution, command_id: int, at: int, decision: Decision) -> None:
    """Deliver that an activity ended by its cancellation, which was asked for."""
    run = live(execution)
    command = run.commands.get(command_id)
    if isinstance(command, ActivityCommand) and not run.finished:
        effects.drop_limits(run, command, decision)
        _deliver(execution, ActivityCancelled(at=at, id=command.id, attempt=command.attempt), decision)


def note(execution: Execution, event: Event, decision: Decision) -> None:
    """Record an event that the code does not see."""
    decision.events.append(event)
    execution.seq += 1
    live(execution).note(event)


def _deliver(execution: Execution, event: Event, decision: Decision) -> None:
    run = live(execution)
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


def close(execution: Execution, event: Any, decision: Decision) -> None:
    """Close the run with `event`; what is pending is taken back, children get what their parent's close means for them, a parent is told."""
    run = live(execution)
    decision.events.append(event)
    execution.seq += 1
    execution.closed = decision.closed = event.status
    effects.drop_all(run, decision)
    first = run.started.first_run_id or run.run_id
    told = effects.child_ended(
        run.started.parent, run.spec.name, run.workflow_id, run.run_id, first, event, execution.codec
    )
    if told is not None:
        decision.outgoing.append(told)
