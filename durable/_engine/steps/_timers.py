"""The step of a timer."""

from __future__ import annotations

from ..._log import TimerDue
from ...history import TimerFired
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, open_run
from ._table import Handlers


def _timer(execution: Execution, message: TimerDue, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is not None and message.id in run.commands and not run.finished:
        deliver(execution, TimerFired(at=now_ms, id=message.id), decision)


HANDLERS: Handlers = {TimerDue: _timer}
