"""Steps of a run's life: started, asked to cancel, ended from outside."""

from __future__ import annotations

from collections.abc import Sequence

from ..._log import RequestCancel, RunTimeoutDue, StartRun, Terminate
from ..._runtime.run import Run
from ...history import CancelRequested, RunReopened, RunStarted, RunTerminated, RunTimedOut
from .. import effects
from ..decision import Decision
from ..execution import Execution
from ._deliver import close, deliver, live, open_run
from ._ending import close_if_ended
from ._table import Handlers

FLAGS: tuple[str, ...] = ()
"""Engine behaviour that shapes replay and that runs begun by this version have; recorded in `RunStarted` (DESIGN §6)."""


def _start(execution: Execution, message: StartRun, now_ms: int, decision: Decision) -> None:
    if execution.run is not None or execution.seq:
        return
    deadline_ms = message.deadline_ms
    if deadline_ms is None and message.execution_timeout_ms is not None:
        deadline_ms = now_ms + message.execution_timeout_ms
    started = RunStarted(
        at=now_ms,
        workflow=message.workflow,
        workflow_id=execution.workflow_id,
        run_id=execution.run_id,
        queue=message.queue,
        args=message.args,
        request=message.request,
        flags=FLAGS,
        timeout_ms=message.timeout_ms,
        parent=message.parent,
        version=message.version,
        pinned=message.pinned,
        attributes=message.attributes,
        memo=message.memo,
        headers=message.headers,
        first_run_id=message.first_run_id,
        continued_from=message.continued_from,
        execution_timeout_ms=message.execution_timeout_ms,
        deadline_ms=deadline_ms,
        signals=message.signals,
        requests=message.requests,
        updates=message.updates,
    )
    begin(execution, started, decision)
    effects.add_run_timeout(live(execution), now_ms, decision)
    if (cancel := message.cancel) is not None:
        deliver(execution, CancelRequested(at=now_ms, request=cancel.request, reason=cancel.reason), decision)


def begin(
    execution: Execution, started: RunStarted, decision: Decision, reopenings: Sequence[RunReopened] = ()
) -> None:
    """Take a run's first step, after the reopenings of a run that failed in it before."""
    assert execution.spec is not None
    execution.run = Run(execution.spec, execution.codec, started)
    for reopened in reopenings:
        execution.run.note(reopened)
    deliver(execution, started, decision)


def _cancel(execution: Execution, message: RequestCancel, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is None or run.signals.knows(f"cancel/{message.request}"):
        return
    if run.cancel_requested is None:  # a second request must not interrupt the cleanup of the first
        deliver(execution, CancelRequested(at=now_ms, request=message.request, reason=message.reason), decision)


def _terminate(execution: Execution, message: Terminate, now_ms: int, decision: Decision) -> None:
    if open_run(execution) is not None:
        close(execution, RunTerminated(at=now_ms, request=message.request, reason=message.reason), decision)


def _run_timeout(execution: Execution, message: RunTimeoutDue, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is None:
        return
    close_if_ended(execution, run, decision)  # by what came in the same step, and so was there when the time was up
    if not execution.closed:
        close(execution, RunTimedOut(at=now_ms, timeout_ms=message.timeout_ms, kind=message.kind), decision)


HANDLERS: Handlers = {
    StartRun: _start,
    RequestCancel: _cancel,
    Terminate: _terminate,
    RunTimeoutDue: _run_timeout,
}
