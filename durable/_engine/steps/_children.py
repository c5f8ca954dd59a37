"""Steps of children: started or refused, and ended."""

from __future__ import annotations

import msgspec

from ..._log import ChildEnded, OutgoingEnded
from ..._runtime.commands import ChildCommand
from ...errors import DamagedRecordError
from ...history import ChildCompleted, ChildFailed, ChildStarted, ChildStartFailed
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, open_run
from ._table import Handlers


def start_ended(execution: Execution, message: OutgoingEnded, now_ms: int, decision: Decision) -> None:
    """The start of a child was relayed: it runs, or cannot be started."""
    command = _pending(execution, message.id, message.reopened)
    if command is None or command.child_run:
        return  # a repeat: it was relayed anew by an owner that did not know of the first time
    if message.failure is None:
        deliver(execution, ChildStarted(at=now_ms, id=message.id, run_id=message.started), decision)
    else:
        deliver(execution, ChildStartFailed(at=now_ms, id=message.id, failure=message.failure), decision)


def _ended(execution: Execution, message: ChildEnded, now_ms: int, decision: Decision) -> None:
    command = _pending(execution, message.id, message.reopened)
    if command is None:
        return
    if not command.child_run:  # it was faster than the word of its start, which is dropped when it comes
        deliver(execution, ChildStarted(at=now_ms, id=message.id, run_id=message.child_run), decision)
        if _pending(execution, message.id, message.reopened) is None:
            return  # with that the code has ended, and the child's end is news to nobody
    if message.failure is not None:
        failed = ChildFailed(at=now_ms, id=message.id, failure=message.failure, status=message.status)
        deliver(execution, failed, decision)
    elif message.result is msgspec.UNSET:
        raise DamagedRecordError(f"the end of child #{message.id} has neither a result nor a failure")
    else:
        deliver(execution, ChildCompleted(at=now_ms, id=message.id, result=message.result), decision)


def _pending(execution: Execution, command_id: int, reopened: int) -> ChildCommand | None:
    run = open_run(execution)
    command = run.commands.get(command_id) if run is not None else None
    if run is None or run.finished or not isinstance(command, ChildCommand) or command.reopened != reopened:
        return None
    return command


HANDLERS: Handlers = {ChildEnded: _ended}
