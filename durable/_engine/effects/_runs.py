"""What follows for a run as a whole: its time limit, or that of its chain, whichever comes first."""

from __future__ import annotations

from ..._log import RunTimeoutDue, run_timeout_key
from ..._runtime.run import Run
from ..decision import Decision


def add_run_timeout(run: Run, at: int, decision: Decision) -> None:
    """Set the due of the run's time limit, counted from `at`, or of its chain's, which is a point in time."""
    started = run.started
    limits: list[tuple[int, str, int]] = []
    if run.deadline_ms is not None:
        limits.append((run.deadline_ms, "execution", started.execution_timeout_ms or 0))
    if started.timeout_ms is not None:
        limits.append((at + started.timeout_ms, "run", started.timeout_ms))
    if limits:
        due_ms, kind, timeout_ms = min(limits)
        item = RunTimeoutDue(workflow_id=run.workflow_id, run_id=run.run_id, timeout_ms=timeout_ms, kind=kind)
        decision.add_due(item, due_ms)


def drop_run_timeout(run: Run, decision: Decision) -> None:
    """Take back the due of the run's time limit."""
    if run.started.timeout_ms is not None or run.deadline_ms is not None:
        decision.drop_due(run_timeout_key(run.run_id))
