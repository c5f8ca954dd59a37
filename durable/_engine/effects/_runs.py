"""What follows for a run as a whole: its time limit."""

from __future__ import annotations

from ..._log import RunTimeoutDue
from ..._runtime.run import Run
from ...history import RunStarted
from ..decision import Decision


def add_run_timeout(started: RunStarted, at: int, decision: Decision) -> None:
    """Set the due of the run's time limit, counted from `at`."""
    if started.timeout_ms is not None:
        item = RunTimeoutDue(workflow_id=started.workflow_id, run_id=started.run_id, timeout_ms=started.timeout_ms)
        decision.add_due(item, at + started.timeout_ms)


def drop_run_timeout(run: Run, decision: Decision) -> None:
    """Take back the due of the run's time limit."""
    if run.started.timeout_ms is not None:
        decision.drop_due(f"{run.run_id}/timeout")
