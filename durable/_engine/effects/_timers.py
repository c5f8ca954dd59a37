"""What follows from timers: dues."""

from __future__ import annotations

from ..._log import TimerDue, due_key
from ..._runtime.commands import TimerCommand
from ..._runtime.run import Run
from ...history import TimerStarted
from ..decision import Decision
from ._family import Family


def _add(run: Run, event: TimerStarted, decision: Decision) -> None:
    decision.add_due(TimerDue(workflow_id=run.workflow_id, run_id=run.run_id, id=event.id), event.due_ms)


def _drop(run: Run, command: TimerCommand, decision: Decision) -> None:
    decision.drop_due(due_key(run.run_id, command.id, "timer"))


def _restore(run: Run, command: TimerCommand, decision: Decision) -> None:
    _add(run, command.event, decision)


FAMILY = Family(add={TimerStarted: _add}, drop={TimerCommand: _drop}, restore={TimerCommand: _restore})
