"""What follows from children: their starts, cancellations and ends in the outbox. Also for a run that is closed without its code."""

from __future__ import annotations

import msgspec

from ..._log import ChildEnded, ChildRef, OutgoingMessage, RequestCancel, StartRun, Terminate, WatchChild, outgoing_key
from ..._runtime.commands import ChildCommand
from ..._runtime.run import Run
from ...codec import Codec, failure_of
from ...errors import RunCancelledError, RunTerminatedError, RunTimedOutError
from ...history import (
    ChildCancelRequested,
    ChildStartRequested,
    Close,
    FailureData,
    Parent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunTerminated,
    RunTimedOut,
)
from ..decision import Decision
from ._family import Family


def child_ended(
    parent: Parent | None, workflow: str, workflow_id: str, run_id: str, first_run_id: str, close: Close, codec: Codec
) -> OutgoingMessage | None:
    """Return what tells the parent of a run how it ended; None if it has no parent, or goes on as a new run."""
    message = None if parent is None else child_end(parent, workflow, workflow_id, run_id, first_run_id, close, codec)
    if parent is None or message is None:
        return None
    return OutgoingMessage(
        workflow_id=workflow_id,
        run_id=run_id,
        id=0,
        target=parent.workflow_id,
        message=message,
        part="ended",
    )


def child_end(
    parent: Parent, workflow: str, workflow_id: str, run_id: str, first_run_id: str, close: Close, codec: Codec
) -> ChildEnded | None:
    """Return the message for `parent` that says how its child ended; None for a `close` that is no end.

    `run_id` is the run that ended, `first_run_id` the first one of its chain, by which its parent knows it.
    """
    result, failure = _result(close), failure_of_child(workflow, workflow_id, run_id, close, codec)
    if failure is None and result is msgspec.UNSET:
        return None
    return ChildEnded(
        run_id=parent.run_id,
        id=parent.command,
        reopened=parent.reopened,
        child_run=first_run_id,
        status=close.status,
        result=result,
        failure=failure,
    )


def _result(close: Close) -> msgspec.Raw | msgspec.UnsetType:
    return close.result if isinstance(close, RunCompleted) else msgspec.UNSET


def failure_of_child(workflow: str, workflow_id: str, run_id: str, close: Close, codec: Codec) -> FailureData | None:
    """Return the failure that a parent gets for its child's `close`; None if that is a success, or no end."""
    which = f"child {workflow} {workflow_id!r} (run {run_id})"
    ids = {"workflow_id": workflow_id, "run_id": run_id}
    if isinstance(close, RunFailed):
        return close.failure
    if isinstance(close, RunCancelled):
        return failure_of(RunCancelledError(f"{which} was cancelled{_because(close.reason)}", **ids), codec).as_wire()
    if isinstance(close, RunTerminated):
        return failure_of(RunTerminatedError(f"{which} was terminated{_because(close.reason)}", **ids), codec).as_wire()
    if isinstance(close, RunTimedOut):
        error = RunTimedOutError(f"{which} reached {close.limit()}", **ids, kind=close.kind)
        return failure_of(error, codec).as_wire()
    return None


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def parent_closed(workflow_id: str, run_id: str, event: ChildStartRequested, reopened: int) -> OutgoingMessage | None:
    """Return what the close of a run sends to the open child that `event` started; None if that is to be left alone."""
    if event.parent_close == "abandon":
        return None
    request, reason = outgoing_key(run_id, event.id, "close", reopened), f"its parent {workflow_id!r} is closed"
    kind = Terminate if event.parent_close == "terminate" else RequestCancel
    return OutgoingMessage(
        workflow_id=workflow_id,
        run_id=run_id,
        id=event.id,
        target=event.workflow_id,
        message=kind(request=request, reason=reason),
        part="close",
        reopened=reopened,
        child=ChildRef(run_id=run_id, command=event.id, reopened=reopened),
    )


def _start(run: Run, event: ChildStartRequested, decision: Decision) -> None:
    _send_start(run, event, run.reopened, decision)


def _send_start(run: Run, event: ChildStartRequested, reopened: int, decision: Decision) -> None:
    # The committer gives it the id of its run and the partition of its parent: the step is pure.
    parent = Parent(workflow_id=run.workflow_id, run_id=run.run_id, command=event.id, partition=-1, reopened=reopened)
    message = StartRun(
        workflow=event.workflow,
        queue=event.queue,
        args=event.args,
        request=outgoing_key(run.run_id, event.id, reopened=reopened),
        timeout_ms=event.timeout_ms,
        parent=parent,
        version=event.version,
        pinned=event.pinned,
        headers=event.headers,
        attributes=event.attributes,
        memo=event.memo,
        execution_timeout_ms=event.execution_timeout_ms,
    )
    item = OutgoingMessage(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=event.id,
        target=event.workflow_id,
        message=message,
        reopened=reopened,
    )
    decision.outgoing.append(item)


def _cancel(run: Run, event: ChildCancelRequested, decision: Decision) -> None:
    command = run.commands.get(event.id)
    if not isinstance(command, ChildCommand):
        return  # it has ended in this very step
    request = outgoing_key(run.run_id, event.id, "cancel", command.reopened)
    item = OutgoingMessage(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=event.id,
        target=command.event.workflow_id,
        message=RequestCancel(request=request, reason=event.reason),
        part="cancel",
        reopened=command.reopened,
        child=ChildRef(run_id=run.run_id, command=event.id, reopened=command.reopened),
    )
    decision.outgoing.append(item)


def _close(run: Run, command: ChildCommand, decision: Decision) -> None:
    item = parent_closed(run.workflow_id, run.run_id, command.event, command.reopened)
    if item is not None:
        decision.outgoing.append(item)


def _restore(run: Run, command: ChildCommand, decision: Decision) -> None:
    """The close may have ended the child, and what it said at its end went to a closed run: ask again."""
    if not command.child_run:
        _send_start(run, command.event, command.reopened, decision)
        return
    item = OutgoingMessage(
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        id=command.id,
        target=command.event.workflow_id,
        message=WatchChild(child_run=command.child_run),
        part="watch",
        reopened=command.reopened,
        child=ChildRef(run_id=run.run_id, command=command.id, reopened=command.reopened),
    )
    decision.outgoing.append(item)


FAMILY = Family(
    add={ChildStartRequested: _start, ChildCancelRequested: _cancel},
    close={ChildCommand: _close},
    restore={ChildCommand: _restore},
)
