"""The step of what the run sent to others: delivered, or not."""

from __future__ import annotations

from ..._log import OutgoingEnded
from ..._runtime.commands import ChildCommand, ExternalCommand
from ...history import ExternalDelivered, ExternalFailed
from ..decision import Decision
from ..execution import Execution
from ._children import start_ended
from ._deliver import deliver, open_run
from ._table import Handlers


def _outgoing_ended(execution: Execution, message: OutgoingEnded, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    command = run.commands.get(message.id) if run is not None else None
    if isinstance(command, ChildCommand):
        start_ended(execution, message, now_ms, decision)
        return
    if run is None or run.finished or not isinstance(command, ExternalCommand):
        return
    if message.failure is None:
        deliver(execution, ExternalDelivered(at=now_ms, id=message.id), decision)
    else:
        deliver(execution, ExternalFailed(at=now_ms, id=message.id, failure=message.failure), decision)


HANDLERS: Handlers = {OutgoingEnded: _outgoing_ended}
