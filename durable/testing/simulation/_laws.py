"""What must hold of all runs together, told from their histories."""

from __future__ import annotations

from collections.abc import Mapping

from ._interpreter import linger, stay
from ._runs import RunModel
from ._scenario import Broken, Record

_BEGINNING_MS = 6_000  # until all workers are there
_LATE_CALM_MS, _LATE_MS = 1_000, 45_000  # a worker may stand still for 20 s, and the clock may have moved
_BECOMES = {"terminate": "terminated", "cancel": "cancelled", "abandon": "completed"}


def check_answered(runs: Mapping[str, RunModel], broken: Broken) -> None:
    """A run that ends by itself has carried out all updates that it accepted, but those that need not end."""
    for run in runs.values():
        if left := [name for name in run.unanswered if name != linger.name]:
            broken("handlers", f"{run.workflow_id} ({run.run_id}) ended as {run.closed}, under way were {left}")


def check_limits(record: Record, broken: Broken) -> None:
    """A run that timed out had reached its limit; and none goes on for long when its limit is reached, if anyone is there."""
    grace_ms, late_ms = (_BEGINNING_MS, _LATE_CALM_MS) if record.calm else (0, _LATE_MS)
    for run in record.runs.values():
        which = f"{run.workflow_id} ({run.run_id})"
        early_ms = run.limits_ms.get(run.timed_out, 0) - run.closed_ms
        if early_ms > run.early_ms:
            broken("time limits", f"{which} timed out {early_ms} ms early")
        first = record.runs.get(run.first_run_id)
        differ = first is not None and run.limits_ms.get("execution") != first.limits_ms.get("execution")
        if first is not None and differ and not (first.reopened or run.reopened):
            broken("time limits", f"{which} has {run.limits_ms}, the first run of its chain {first.limits_ms}")
        first_ms = min(run.limits_ms.values(), default=None)
        if first_ms is not None and run.closed_ms > max(first_ms, record.calm_ms + grace_ms) + late_ms:
            broken("time limits", f"{which} ended {run.closed_ms - first_ms} ms after it had reached its limit")


def check_left(runs: Mapping[str, RunModel], broken: Broken) -> None:
    """What nobody waits for ends as its parent's close says, and what is abandoned lives on to its own end."""
    children = {(run.parent.run_id, run.parent.command): run for run in runs.values() if run.parent is not None}
    for parent in runs.values():
        for command, policy in parent.left.items():
            child = children.get((parent.run_id, command))
            if child is None and policy == "abandon":
                broken("3 outbox", f"child {command} of {parent.run_id} was to be abandoned, and never was")
            elif child is not None and child.workflow == stay.name and child.closed != _BECOMES[policy]:
                broken("parent close", f"{child.run_id} ended as {child.closed}, its parent wanted it to {policy}")
