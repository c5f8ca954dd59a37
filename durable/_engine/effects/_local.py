"""What follows from local activities: the due of a retry that is too far off to wait for within the step."""

from __future__ import annotations

from ..._log import LocalRetryDue, due_key
from ..._runtime.commands import LocalActivityCommand
from ..._runtime.run import Run
from ..decision import Decision
from ._family import Family


def add_local_retry(run: Run, command: LocalActivityCommand, due_ms: int, decision: Decision) -> None:
    """Set the due of the next attempt, which is `command.attempt` already."""
    item = LocalRetryDue(workflow_id=run.workflow_id, run_id=run.run_id, id=command.id, attempt=command.attempt)
    decision.add_due(item, due_ms)


def _drop(run: Run, command: LocalActivityCommand, decision: Decision) -> None:
    if command.waits:
        decision.drop_due(due_key(run.run_id, command.id, "local"))


FAMILY = Family(drop={LocalActivityCommand: _drop})
