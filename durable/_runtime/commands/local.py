"""The local activity command: runs in the engine's process, recorded with its outcome in one commit."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ...history import (
    ActivityFailed,
    Event,
    LocalActivityCancelRequested,
    LocalActivityCompleted,
    LocalActivityFailed,
    LocalActivityRetryScheduled,
    LocalActivityScheduled,
    from_raw,
    to_raw,
)
from ._command import Command, CommandFuture
from .activity import _error

if TYPE_CHECKING:
    from ..options import ActivityCall
    from ..run import Run


class LocalActivityCommand(Command):
    """A local activity. `attempt` runs while its step is held open, unless it `waits` for its retry to be due."""

    __slots__ = ("attempt", "call", "event", "future", "waits")

    def __init__(self, run: Run, call: ActivityCall, event: LocalActivityScheduled) -> None:
        super().__init__(run, event.id)
        self.call, self.event = call, event
        self.attempt = 1
        self.waits = False
        self.future = CommandFuture(self)

    def note(self, event: Event) -> None:
        """Take an event that the code does not see."""
        if isinstance(event, LocalActivityRetryScheduled):
            self.attempt, self.waits = event.attempt + 1, True

    def release(self) -> None:
        del self.future

    def resolve(self, event: Event) -> None:
        if type(event) is LocalActivityCompleted:
            del self.run.commands[self.id]
            if not self.future.done():
                what = f"the result of activity {self.call.name}"
                self.future.set_result(
                    self.call.signature.decode_result(self.run.codec, from_raw(event.result), what=what)
                )
                self.future.release()
        elif type(event) is LocalActivityFailed:
            del self.run.commands[self.id]
            if not self.future.done():
                failed = ActivityFailed(at=event.at, id=event.id, failure=event.failure, attempt=event.attempt)
                self.future.set_exception(_error(self.run, self.call, failed))
                self.future.release()
        else:
            super().resolve(event)

    def cancel(self) -> None:
        run = self.run
        if run.closing or self.id not in run.commands:
            return
        if not run.matcher.replaying:
            run.emit(LocalActivityCancelRequested(at=run.now_ms, id=self.id))
            run.given_up.append(self)
        elif run.matcher.take(LocalActivityCancelRequested, self.id) is None:
            run.diverge(f"cancellation of local activity {self.call.name!r} (#{self.id})")
        del run.commands[self.id]


def schedule_local(run: Run, call: ActivityCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
    """Record the command and return the future of its result, as `schedule_activity` does."""
    around = run.around
    if around is None or around.call_activity is None:
        return _schedule(run, call, args, kwargs, None)
    return around.call(run, call, _schedule, args, kwargs, is_local=True)


def _schedule(
    run: Run, call: ActivityCall, args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str] | None
) -> CommandFuture:
    id = run.next_command_id()  # noqa: A001 - the field's name
    if run.matcher.replaying:
        event = run.matcher.take(LocalActivityScheduled, id)
        if event is None or event.activity != call.name:
            call.signature.encode_call(run.codec, args, kwargs, what=f"activity {call.name}")
            run.diverge(f"local activity {call.name!r} (#{id})", recorded=event)
        if run.matcher.observe is not None:
            run.matcher.observe(event, lambda: call.signature.encode_call(run.codec, args, kwargs, what=call.name))
    else:
        run.check_may_command(f"local activity {call.name}")
        payload = call.signature.encode_call(run.codec, args, kwargs, what=f"activity {call.name}")
        event = LocalActivityScheduled(at=run.now_ms, id=id, activity=call.name, args=to_raw(payload), headers=headers)
        run.emit(event)
    run.has_local = True
    return LocalActivityCommand(run, call, event).future
