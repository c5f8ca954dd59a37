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

    def note(self, event: Event) -> None:
        """Take an `event` of its own that the code does not see."""

    def release(self) -> None:
        """The run is dropped: let go of the futures, which refer to the command in turn."""


class CommandFuture(Future[Any]):
    """The future that workflow code awaits for a command; cancelling it cancels the command, until `release`."""

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

    def release(self) -> None:
        """The future is done. Without this the two would hold each other until the garbage collector comes."""
        del self.command


class DeferringFuture(CommandFuture):
    """The future of a command that takes time to cancel: cancelling asks for it, and the future ends when the command has.

    As with a task that is awaited: `cancel` returns True, and whoever waits goes on waiting, until the command resolves the
    future: by `end_cancelled`, or with the result or error that came all the same. Whoever cancelled the waiting task
    finds that in it. A repeated `cancel` asks for nothing more. The command stays in `run.commands` meanwhile.
    """

    __slots__ = ("_message", "cancel_asked")

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.cancel_asked = False
        self._message: Any = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask the command to cancel; False if the future is done already."""
        if self.done():
            return False
        if self.command.run.closing:  # nothing will be recorded, and nobody comes back to resolve it
            return super().cancel(msg)
        if not self.cancel_asked:
            self.cancel_asked, self._message = True, msg
            self.command.cancel()
        return True

    def end_cancelled(self) -> None:
        """The command ended by its cancellation: whoever awaits it gets `CancelledError`."""
        if not self.done():
            super(CommandFuture, self).cancel(self._message)
