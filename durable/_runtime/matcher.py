"""Matches the commands that code issues with those in its history, one by one, in order.

Live, a command is written down as an event. On replay, it must be the next command event of the step that is being
replayed; anything else is a `NonDeterminismError` that shows both sides.
"""

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeGuard, TypeVar

from ..errors import NonDeterminismError
from ..history import CommandEvent, Event, PatchMarked, tag_of

E = TypeVar("E", bound=CommandEvent)
Observe = Callable[[Event, Callable[[], object]], None]
"""Takes a recorded command that the code has asked for again, and a function that returns what it asked for now and no replay
compares: an activity's arguments (`Payload`), a timer's ms, another run's message or an update's end (the event). It may raise
`EncodeError`."""

_OWN = ("durable", "asyncio")
_OURS_BUT_USERS = "durable._samples."  # the samples come with the package, and are written as users write
_STEP = "_run_to_quiescence"  # of a run: what called it is not the workflow's code


class Matcher:
    """The commands of one step: written down when live, compared when replayed."""

    __slots__ = ("_index", "_recorded", "emitted", "observe", "replaying")

    def __init__(self) -> None:
        self.replaying = False
        self.emitted: list[Event] = []
        self.observe: Observe | None = None  # set by who wants to know more of a replay than whether it fits
        self._recorded: Sequence[Event] = ()
        self._index = 0

    def begin_replay(self, recorded: Sequence[Event]) -> None:
        """The commands of the next step are `recorded`."""
        self.replaying, self._recorded, self._index = True, recorded, 0

    @property
    def matched(self) -> int:
        """How many of the recorded commands of the last step that was replayed the code has asked for."""
        return self._index

    def end_replay(self) -> Event | None:
        """The step has run. Return the first recorded command that the code did not ask for, if there is one."""
        self.replaying = False
        self._index = self._after_deprecated()
        return self._recorded[self._index] if self._index < len(self._recorded) else None

    def take(self, kind: type[E], id: int) -> E | None:  # noqa: A002 - the field's name
        """Return the next recorded command and pass it, if it is of type `kind` and for number `id`; else None.

        One that does not fit stays the next one: the code may have failed to ask for anything here, as it did at the time.
        """
        index = self._index
        if index < len(self._recorded):
            event = self._recorded[index]
            if type(event) is PatchMarked and event.deprecated:
                index = self._after_deprecated()
                if index >= len(self._recorded):
                    return None
                event = self._recorded[index]
            if type(event) is kind and event.id == id:
                self._index = index + 1
                return event
        return None

    def take_patch(self, name: str) -> PatchMarked | None:
        """Return the marker of the patch `name` and pass it, if that is the next recorded command; else None."""
        for index in range(self._index, len(self._recorded)):
            event = self._recorded[index]
            if type(event) is not PatchMarked:
                break
            if event.name == name:
                self._index = index + 1
                return event
            if not event.deprecated:
                break
        return None

    def _after_deprecated(self) -> int:
        """Return the index of the next recorded command but for deprecated patches, which the code need not ask for."""
        index = self._index
        while index < len(self._recorded):
            event = self._recorded[index]
            if type(event) is not PatchMarked or not event.deprecated:
                break
            index += 1
        return index

    def mismatch(self, asked: str, *, recorded: Event | None = None, where: str = "") -> NonDeterminismError:
        """Return the error for a command `asked` for where the history has another one, or none.

        `where` is the line of the workflow that this is about; if it is not given, the one that is running.
        """
        if recorded is None and (index := self._after_deprecated()) < len(self._recorded):
            recorded = self._recorded[index]
        error = NonDeterminismError(
            "the workflow's code does not follow the run's history",
            history=describe(recorded) if recorded is not None else "nothing more in this step",
            code=asked,
            where=where or source_line(),
            hint=(
                "the code was changed while the run was open, or its order depends on something outside the history; "
                'guard a change with `if patched("name"):`, or deploy the earlier code'
            ),
        )
        error.event = recorded
        return error


def describe(event: Event) -> str:
    """Return `event` as it is shown to people."""
    if isinstance(event, CommandEvent):
        return event.summary()
    number = getattr(event, "id", None)
    return tag_of(event) if number is None else f"{tag_of(event)} of #{number}"


def nondeterminism_in(error: BaseException) -> NonDeterminismError | None:
    """Return the `NonDeterminismError` in `error`, itself or a member of its group: that is no failure of the run's own."""
    if is_group(error):
        return next((found for found in map(nondeterminism_in, error.exceptions) if found is not None), None)
    return error if isinstance(error, NonDeterminismError) else None


def is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    """Return whether `error` is a group of errors."""
    return isinstance(error, BaseExceptionGroup)


def source_line() -> str:
    """Return the innermost line of workflow code on the stack, as "file:line in function"; empty if none is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != _STEP:
        if is_users(frame):
            return _line(frame)
        frame = frame.f_back
    return ""


def waiting_line(coroutine: object) -> str:
    """Return the innermost line of workflow code at which a suspended `coroutine` waits; empty if it does not."""
    found = ""
    while coroutine is not None:
        frame: FrameType | None = getattr(coroutine, "cr_frame", None)
        if frame is not None and is_users(frame):
            found = _line(frame)
        coroutine = getattr(coroutine, "cr_await", None)
    return found


def is_users(frame: FrameType) -> bool:
    """Return whether `frame` runs code of the user's, not of asyncio's or ours."""
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] not in _OWN or name.startswith(_OURS_BUT_USERS)


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
