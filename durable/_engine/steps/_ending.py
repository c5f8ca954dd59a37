"""The close of a run whose code has ended."""

from __future__ import annotations

from ..._runtime.run import Run
from ...history import RunContinuedAsNew, RunFailed
from ..decision import Decision
from ..execution import Execution
from ._continuing import go_on_as_new
from ._deliver import close
from ._local import pending_local


def close_if_ended(execution: Execution, run: Run, decision: Decision) -> None:
    """Close the run as its code has ended, if it has and nothing holds it open."""
    if execution.closed or not run.finished or pending_local(execution):
        return
    outcome = run.outcome()
    if type(outcome) is RunFailed:
        outcome = RunFailed(at=outcome.at, failure=outcome.failure, failed_at=execution.failed_at)
    elif type(outcome) is RunContinuedAsNew:
        outcome = go_on_as_new(run, outcome, decision)
    close(execution, outcome, decision)
