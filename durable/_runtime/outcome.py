"""How a run whose code has ended is to close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..codec import failure_of
from ..history import Close, RunCancelled, RunCompleted, RunContinuedAsNew, RunFailed, to_raw
from .continuing import NewRun, continuation_in
from .matcher import nondeterminism_in

if TYPE_CHECKING:
    from .run import Run


def outcome_of(run: Run, main: asyncio.Task[Any] | None, handler_error: Exception | None) -> Close:
    """Return the event that closes the finished `run`: what its `main` task came to, or the error of a handler."""
    assert main is not None
    if handler_error is not None:
        return _failed(run, handler_error)
    if main.cancelled():
        if run.cancel_requested is not None:
            return RunCancelled(at=run.now_ms, reason=run.cancel_requested.reason)
        return _failed(run, asyncio.CancelledError("the workflow's code cancelled itself"))
    error = main.exception()
    if error is not None:
        asked, failure = continuation_in(error)
        return _continued(run, asked.target) if asked is not None else _failed(run, failure or error)
    what = f"the result of workflow {run.spec.name}"
    try:
        payload = run.spec.signature.encode_result(run.codec, main.result(), what=what)
    except Exception as problem:  # the workflow returned what cannot be recorded: its own code is at fault
        return _failed(run, problem)
    return RunCompleted(at=run.now_ms, result=to_raw(payload))


def _continued(run: Run, target: NewRun) -> RunContinuedAsNew:
    return RunContinuedAsNew(
        at=run.now_ms,
        new_run_id="",  # the engine's to choose
        workflow=target.workflow,
        queue=target.queue,
        args=target.args,
        timeout_ms=target.timeout_ms,
        version=target.version,
        pinned=target.pinned,
        headers=target.headers,
        signals=tuple(signal.request for signal in run.signals.unread()),
        cancel=run.late_cancel is not None,
    )


def _failed(run: Run, error: BaseException) -> RunFailed:
    broken = nondeterminism_in(error)
    if broken is not None:
        raise broken
    return RunFailed(at=run.now_ms, failure=failure_of(error, run.codec, known=run.spec.raises).as_wire())
