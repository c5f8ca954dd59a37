"""What every command is: something the code asked for, that is pending until an event resolves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InternalError
from .._futures import Future

if TYPE_CHECKING:
    from ...history import Event
    from ..run import Run


class Command:
    """A pending command. It is in `run.commands` under its number until `resolve` or `cancel` ends it."""

    __slots__ = ("id", "run")

    def __init__(self, run: Run, id: int) -> None:  # noqa: A002 - the field's name
        self.run, self.id = run, id
        run.commands[id] = self

    def resolve(self, event: Event) -> None:
        """Take the inbound `event` that ends this command. Raises `InternalError` if it is none of its own."""
        raise InternalError(f"{type(self).__name__} #{self.id} cannot be ended by {type(event).__name__}")

    def cancel(self) -> None:
        """The code waits for this command no more."""


class CommandFuture(Future[Any]):
    """The future that workflow code awaits for a command; cancelling it cancels the command."""

    __slots__ = ("command",)
    command: Command

    def __init__(self, command: Command) -> None:
        loop = command.run.loop
        super().__init__(loop=loop)
        self.sequence = loop.next_sequence()
        self.command = command

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the future and its command; False if it is done already."""
        if self.done():
            return False
        self.command.cancel()
        return super().cancel(msg)
