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

_DELAY_MS_MAX = 1 << 52  # 140,000 years: past it, a number of milliseconds does not fit what JSON readers keep exactly


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
        if run.closing or self.id not in run.commands:
            return
        if not run.matcher.replaying:
            run.emit(TimerCancelled(at=run.now_ms, id=self.id))
            run.given_up.append(self)
        elif run.matcher.take(TimerCancelled, self.id) is None:
            run.diverge(f"cancellation of timer #{self.id}")
        del run.commands[self.id]


def start_timer(run: Run, delay_s: float, fire: Callable[[], None]) -> CommandId:
    """Record a timer that fires in `delay_s` seconds, rounded up to the millisecond, and return its number."""
    id = run.next_command_id()  # noqa: A001 - the field's name
    if run.matcher.replaying:
        event = run.matcher.take(TimerStarted, id)
        if event is None:
            run.diverge(f"timer of {delay_s:g} s (#{id})")
        if run.matcher.observe is not None:
            run.matcher.observe(event, lambda: _whole_ms(delay_s))
    else:
        run.check_may_command("a timer")
        event = TimerStarted(at=run.now_ms, id=id, due_ms=run.now_ms + _whole_ms(delay_s))
        run.emit(event)
    TimerCommand(run, event, fire)
    return id


def cancel_timer(run: Run, timer: int) -> None:
    """The code needs the timer no more. One that has fired or was cancelled is passed over."""
    command = run.commands.get(timer)
    if command is not None:
        command.cancel()


def _whole_ms(delay_s: float) -> int:
    """Round up, so that nothing fires early; but 0.07 * 1000 is 70.00000000000001, and no 71."""
    return min(max(1, math.ceil(round(delay_s * 1000, 6))), _DELAY_MS_MAX)
