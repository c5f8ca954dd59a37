"""The step of what the run sent to others: delivered, or not."""

from __future__ import annotations

from ..._log import OutgoingEnded
from ..._runtime.commands import ExternalCommand
from ...history import ExternalDelivered, ExternalFailed
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, open_run
from ._table import Handlers


def _outgoing_ended(execution: Execution, message: OutgoingEnded, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is None or run.finished or not isinstance(run.commands.get(message.id), ExternalCommand):
        return
    if message.failure is None:
        deliver(execution, ExternalDelivered(at=now_ms, id=message.id), decision)
    else:
        deliver(execution, ExternalFailed(at=now_ms, id=message.id, failure=message.failure), decision)


HANDLERS: Handlers = {OutgoingEnded: _outgoing_ended}
