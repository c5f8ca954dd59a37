"""Matches the commands that code issues with those in its history, one by one, in order.

Live, a command is written down as an event. On replay, it must be the next command event of the step that is being
replayed; anything else is a `NonDeterminismError` that shows both sides.
"""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import TypeVar

from ..errors import NonDeterminismError
from ..history import CommandEvent, Event, PatchMarked, tag_of

E = TypeVar("E", bound=CommandEvent)

_OWN = ("durable", "asyncio")


class Matcher:
    """The commands of one step: written down when live, compared when replayed."""

    __slots__ = ("_index", "_recorded", "emitted", "replaying")

    def __init__(self) -> None:
        self.replaying = False
        self.emitted: list[Event] = []
        self._recorded: Sequence[Event] = ()
        self._index = 0

    def begin_replay(self, recorded: Sequence[Event]) -> None:
        """The commands of the next step are `recorded`."""
        self.replaying, self._recorded, self._index = True, recorded, 0

    def end_replay(self) -> Event | None:
        """The step has run. Return the first recorded command that the code did not ask for, if there is one."""
        self.replaying = False
        return self._recorded[self._index] if self._index < len(self._recorded) else None

    def take(self, kind: type[E]) -> E | None:
        """Return the recorded event for a command of type `kind`; None if the step is live, or if another one is recorded.

        The caller tells the two apart by `replaying`.
        """
        if self._index < len(self._recorded):
            event = self._recorded[self._index]
            if type(event) is kind:
                self._index += 1
                return event
        return None

    def take_patch(self, name: str) -> bool:
        """Return whether the next recorded command is the patch `name`, and pass it."""
        if self._index < len(self._recorded):
            event = self._recorded[self._index]
            if type(event) is PatchMarked and event.name == name:
                self._index += 1
                return True
        return False

    def mismatch(self, asked: str, *, recorded: Event | None = None) -> NonDeterminismError:
        """Return the error for a command `asked` for where the history has another one, or none."""
        if recorded is None and self._index < len(self._recorded):
            recorded = self._recorded[self._index]
        return NonDeterminismError(
            "the workflow's code does not follow the run's history",
            history=describe(recorded) if recorded is not None else "nothing more in this step",
            code=asked,
            where=source_line(),
            hint=(
                "the code was changed while the run was open, or its order depends on something outside the history; "
                'guard a change with `if patched("name"):`, or deploy the earlier code'
            ),
        )


def describe(event: Event) -> str:
    """Return `event` as it is shown to people."""
    return event.summary() if isinstance(event, CommandEvent) else tag_of(event)


def source_line() -> str:
    """Return the innermost line of user code on the stack, as "file:line in function"."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _OWN:
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        frame = frame.f_back
    return ""
