"""What follows from messages to other runs: entries of the outbox. What was sent cannot be taken back."""

from __future__ import annotations

from ..._log import ChildRef, OutgoingMessage, RequestCancel, SendSignal, outgoing_key
from ..._runtime.commands import ChildCommand
from ..._runtime.run import Run
from ...history import ExternalCancelRequested, ExternalSignalRequested
from ..decision import Decision
from ._family import Family


def _add(run: Run, event: ExternalSignalRequested | ExternalCancelRequested, decision: Decision) -> None:
    request = outgoing_key(run.run_id, event.id)
    message: SendSignal | RequestCancel
    if isinstance(event, ExternalSignalRequested):
        message = SendSignal(name=event.name, value=event.value, request=request, headers=event.headers)
    else:
        message = RequestCancel(request=request, reason=event.reason)
    item = OutgoingMessage(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=event.id,
        target=event.workflow_id,
        message=message,
        child=_child(run, event.child) if isinstance(event, ExternalSignalRequested) else None,
    )
    decision.outgoing.append(item)


def _child(run: Run, number: int | None) -> ChildRef | None:
    if number is None:
        return None
    command = run.commands.get(number)  # none of a child that has ended: then no run is the one that is meant
    reopened = command.reopened if isinstance(command, ChildCommand) else -1
    return ChildRef(run_id=run.run_id, command=number, reopened=reopened)


FAMILY = Family(add={ExternalSignalRequested: _add, ExternalCancelRequested: _add})
