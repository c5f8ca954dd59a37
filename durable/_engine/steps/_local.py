"""Steps of local activities, which run while their step is held open."""

from __future__ import annotations

from ..._log import ActivityEnded, LocalRetryDue
from ..._runtime.commands import LocalActivityCommand
from ...history import Event, LocalActivityCompleted, LocalActivityFailed, LocalActivityRetryScheduled
from .. import effects
from ..decision import Decision
from ..execution import Execution
from ._activities import result_of
from ._deliver import deliver, live, note, open_run
from ._table import Handlers
from ._updates import offer_held


def pending_local(execution: Execution) -> list[LocalActivityCommand]:
    """Return the local activities that the step must run before it is over: none of a run that it has closed."""
    run = execution.run
    if run is None or execution.closed or not run.has_local:
        return []
    return [each for each in run.commands.values() if isinstance(each, LocalActivityCommand) and not each.waits]


def deliver_local(execution: Execution, ended: ActivityEnded, now_ms: int, decision: Decision) -> None:
    """Deliver the outcome of a local activity of this step; one that the code has given up is passed over."""
    run = live(execution)
    if not isinstance(run.commands.get(ended.id), LocalActivityCommand):
        return
    now_ms = max(now_ms, run.now_ms)
    event: Event
    if ended.failure is not None:
        event = LocalActivityFailed(at=now_ms, id=ended.id, failure=ended.failure, attempt=ended.attempt)
    else:
        event = LocalActivityCompleted(at=now_ms, id=ended.id, result=result_of(ended), attempt=ended.attempt)
    deliver(execution, event, decision)
    offer_held(execution, now_ms, decision)


def retry_local(execution: Execution, ended: ActivityEnded, due_ms: int, now_ms: int, decision: Decision) -> None:
    """An attempt failed, and the next one is too far off to hold the step open for it: it gets a step of its own."""
    run = live(execution)
    command = run.commands.get(ended.id)
    if isinstance(command, LocalActivityCommand):
        assert ended.failure is not None
        event = LocalActivityRetryScheduled(
            at=max(now_ms, run.now_ms), id=ended.id, attempt=ended.attempt, due_ms=due_ms, failure=ended.failure
        )
        note(execution, event, decision)
        effects.add_local_retry(run, command, due_ms, decision)


def _retry_due(execution: Execution, message: LocalRetryDue, _now_ms: int, _decision: Decision) -> None:
    """The next attempt runs in this step: see `pending_local`."""
    run = open_run(execution)
    command = run.commands.get(message.id) if run is not None else None
    if isinstance(command, LocalActivityCommand) and command.attempt == message.attempt:
        command.waits = False


HANDLERS: Handlers = {LocalRetryDue: _retry_due}
