"""Commands to other runs: sent, then delivered or refused. What was sent cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from ...codec import Failure, exception_of
from ...history import (
    Event,
    ExternalCancelRequested,
    ExternalDelivered,
    ExternalFailed,
    ExternalSignalRequested,
)
from ._command import Command, CommandFuture

if TYPE_CHECKING:
    from ..run import Run

E = TypeVar("E", ExternalSignalRequested, ExternalCancelRequested)


class ExternalCommand(Command):
    """Something on its way to another run. The future's result is None, once it is in that run's inbox."""

    __slots__ = ("future",)

    def __init__(self, run: Run, id: int) -> None:  # noqa: A002 - the field's name
        super().__init__(run, id)
        self.future = CommandFuture(self)

    def release(self) -> None:
        del self.future

    def resolve(self, event: Event) -> None:
        if type(event) is not ExternalDelivered and type(event) is not ExternalFailed:
            super().resolve(event)
            return
        del self.run.commands[self.id]
        if self.future.done():
            return
        if isinstance(event, ExternalFailed):
            self.future.set_exception(exception_of(Failure.from_wire(event.failure), (), self.run.codec))
        else:
            self.future.set_result(None)
        self.future.release()


def send_signal(
    run: Run,
    workflow_id: str,
    name: str,
    value: msgspec.Raw,
    *,
    child: int | None = None,
    headers: dict[str, str] | None = None,
) -> CommandFuture:
    """Record the command and return a future that is done once the signal is in the other run's inbox.

    `child` is the number of the command that started that run, if it is a child.
    """
    id = run.next_command_id()  # noqa: A001 - the field's name
    event = ExternalSignalRequested(
        at=run.now_ms, id=id, workflow_id=workflow_id, name=name, value=value, child=child, headers=headers
    )
    return _send(run, event)


def send_cancel(run: Run, workflow_id: str, reason: str) -> CommandFuture:
    """Record the command and return a future that is done once the request is in the other run's inbox."""
    id = run.next_command_id()  # noqa: A001 - the field's name
    return _send(run, ExternalCancelRequested(at=run.now_ms, id=id, workflow_id=workflow_id, reason=reason))


def _send(run: Run, event: E) -> CommandFuture:
    if run.matcher.replaying:
        recorded = run.matcher.take(type(event), event.id)
        if recorded is None or recorded.workflow_id != event.workflow_id:
            run.diverge(event.summary(), recorded=recorded)
        if run.matcher.observe is not None:
            run.matcher.observe(recorded, lambda: event)
    else:
        run.check_may_command(event.summary())
        run.emit(event)
    return ExternalCommand(run, event.id).future
