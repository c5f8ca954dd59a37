"""The timer command: started, fired or cancelled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..._ids import CommandId
from ...history import Event, TimerCancelled, TimerFired, TimerStarted
from ._command import Command

if TYPE_CHECKING:
    from ..run import Run


class TimerCommand(Command):
    """A timer; `fire` is called when it is due."""

    __slots__ = ("event", "fire")

    def __init__(self, run: Run, event: TimerStarted, fire: Callable[[], None]) -> None:
        super().__init__(run, event.id)
        self.event, self.fire = event, fire

    def resolve(self, event: Event) -> None:
        if type(event) is TimerFired:
            del self.run.commands[self.id]
            self.fire()
        else:
            super().resolve(event)

    def cancel(self) -> None:
        run = self.run
        if self.id not in run.commands or run.closing:
            return
        if not run.matcher.replaying:
            run.emit(TimerCancelled(at=run.now_ms, id=self.id))
            run.given_up.append(self)
        elif run.matcher.take(TimerCancelled) is None:
            run.diverge(f"cancellation of timer #{self.id}")
        del run.commands[self.id]


def start_timer(run: Run, delay_s: float, fire: Callable[[], None]) -> CommandId:
    """Record a timer that fires in `delay_s` seconds, rounded up to the millisecond, and return its number."""
    id = run.next_command_id()  # noqa: A001 - the field's name
    if run.matcher.replaying:
        event = run.matcher.take(TimerStarted)
        if event is None or event.id != id:
            run.diverge(f"timer of {delay_s:g} s (#{id})", recorded=event)
    else:
        run.check_may_command("a timer")
        event = TimerStarted(at=run.now_ms, id=id, due_ms=run.now_ms + max(1, math.ceil(delay_s * 1000)))
        run.emit(event)
    TimerCommand(run, event, fire)
    return id


def cancel_timer(run: Run, timer: int) -> None:
    """The code needs the timer no more. One that has fired or was cancelled is passed over."""
    command = run.commands.get(timer)
    if command is not None:
        command.cancel()
