"""Steps of local activities, which run while their step is held open."""

from __future__ import annotations

from ..._log import ActivityEnded
from ..._runtime.commands import LocalActivityCommand
from ...history import Event, LocalActivityCompleted, LocalActivityFailed
from ..decision import Decision
from ..execution import Execution
from ._activities import result_of
from ._deliver import deliver, live
from ._updates import offer_held


def pending_local(execution: Execution) -> list[LocalActivityCommand]:
    """Return the local activities that the step must run before it is over: none of a run that it has closed."""
    run = execution.run
    if run is None or execution.closed or not run.has_local:
        return []
    return [command for command in run.commands.values() if isinstance(command, LocalActivityCommand)]


def deliver_local(execution: Execution, ended: ActivityEnded, now_ms: int, decision: Decision) -> None:
    """Deliver the outcome of a local activity of this step."""
    run = live(execution)
    now_ms = max(now_ms, run.now_ms)
    event: Event
    if ended.failure is not None:
        event = LocalActivityFailed(at=now_ms, id=ended.id, failure=ended.failure, attempt=ended.attempt)
    else:
        event = LocalActivityCompleted(at=now_ms, id=ended.id, result=result_of(ended), attempt=ended.attempt)
    deliver(execution, event, decision)
    offer_held(execution, now_ms, decision)
