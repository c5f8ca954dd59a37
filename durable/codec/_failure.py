"""Failures as data: an exception's class, message, traceback text and causes, without any of its frames or values.

Converting never raises, whatever the exception does. All texts are bounded, so that a failure can always be recorded.
"""

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, cast

from .._duration import milliseconds
from ..errors import RemoteError
from ._protocol import Codec
from ._rebuild import known_classes, payload_of, qualified_name, rebuilt

_MESSAGE_CHARS_MAX = 8_192
_TRACEBACK_FRAMES_MAX = 30  # the innermost ones: a recursion error has a thousand, all alike
_TRACEBACK_CHARS_MAX = 16_384
_NOTES_MAX, _NOTE_CHARS_MAX = 10, 1_024
_DEPTH_MAX = 10  # causes of causes
_FAILURES_MAX = 64  # exceptions in all: an exception group may hold thousands
_TRACEBACKS_CHARS_MAX = 65_536  # of all exceptions of one failure together
_BASES_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception as data.

    `type` is the class with its module; `bases` the plain names of the class and its bases in method resolution order
    (what `RetryPolicy.gives_up` takes). `retryable` and `retry_after_ms` are what the exception's own attributes
    `retryable` and `retry_after` say, None if they say nothing. `payload` has what it takes to make a known class
    again. `group` has the members of an exception group.
    """

    type: str
    message: str = ""
    bases: tuple[str, ...] = ()
    traceback: str = ""
    cause: "Failure | None" = None
    group: "tuple[Failure, ...]" = ()
    notes: tuple[str, ...] = ()
    retryable: bool | None = None
    retry_after_ms: int | None = None
    payload: Any = None

    @property
    def short_type(self) -> str:
        """The type as people call it: of a built-in class or one of ours, without its module."""
        return self.type.removeprefix("builtins.").removeprefix("durable.errors.")

    def as_wire(self) -> dict[str, Any]:
        """Return the failure as JSON data; what is empty is left out."""
        wire: dict[str, Any] = {"type": self.type, "message": self.message, "bases": list(self.bases)}
        if self.traceback:
            wire["traceback"] = self.traceback
        if self.cause is not None:
            wire["cause"] = self.cause.as_wire()
        if self.group:
            wire["group"] = [member.as_wire() for member in self.group]
        if self.notes:
            wire["notes"] = list(self.notes)
        for name in ("retryable", "retry_after_ms", "payload"):
            if (value := getattr(self, name)) is not None:
                wire[name] = value
        return wire

    @staticmethod
    def from_wire(data: Any) -> "Failure":
        """Return the failure that `as_wire` wrote. Unknown fields are passed over, wrong ones left empty: never raises."""
        return _from_wire(data, 0)


def failure_of(exc: BaseException, codec: Codec, *, known: Iterable[type[BaseException]] = ()) -> Failure:
    """Return `exc` as data. Never raises.

    For classes in `known`, built-in ones and those of `durable.errors`, the constructor's data is kept, so that
    `exception_of` can make them again; of any other class nothing but the message is kept.
    """
    classes = known_classes(known)
    return _Recorder(codec, classes).record(exc, 0)


def exception_of(failure: Failure, known: Iterable[type[BaseException]], codec: Codec) -> BaseException:
    """Return an exception made from data. Never raises, and imports nothing that the data names.

    It is of the recorded class if that is in `known` (or a loaded subclass of one), a built-in one or one of
    `durable.errors`; else of the nearest base that is in `known`; else a `RemoteError`. Causes and notes come along.
    """
    return _made(failure, known_classes(known), codec, 0)


class _Recorder:
    """Turns one exception and what hangs on it into failures, within the bounds on all of them together."""

    def __init__(self, codec: Codec, known: Mapping[str, type[BaseException]]) -> None:
        self.codec, self.known = codec, known
        self.seen: set[int] = set()
        self.chars_left: int = _TRACEBACKS_CHARS_MAX

    def record(self, exc: BaseException, depth: int) -> Failure:
        self.seen.add(id(exc))
        cls = type(exc)
        message = _message(exc)
        frames = _traceback_text(exc.__traceback__)[-self.chars_left :] if self.chars_left else ""
        self.chars_left -= len(frames)
        name = qualified_name(cls)
        return Failure(
            type=name,
            message=message,
            bases=tuple(_text(base.__name__, 200) for base in cls.__mro__[:_BASES_MAX] if base is not object),
            traceback=frames,
            cause=self._cause(exc, depth),
            group=self._group(exc, depth),
            notes=_notes(exc),
            retryable=_flag(exc),
            retry_after_ms=_retry_after_ms(exc),
            payload=payload_of(exc, self.codec) if self.known.get(name) is cls else None,
        )

    def _may_follow(self, exc: object, depth: int) -> bool:
        return (
            isinstance(exc, BaseException)
            and id(exc) not in self.seen
            and depth < _DEPTH_MAX
            and len(self.seen) < _FAILURES_MAX
        )

    def _cause(self, exc: BaseException, depth: int) -> Failure | None:
        cause = exc.__cause__ if exc.__cause__ is not None or exc.__suppress_context__ else exc.__context__
        return self.record(cause, depth + 1) if cause is not None and self._may_follow(cause, depth) else None

    def _group(self, exc: BaseException, depth: int) -> tuple[Failure, ...]:
        if not isinstance(exc, BaseExceptionGroup):
            return ()
        members: list[BaseException] = list(exc.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return tuple(self.record(member, depth + 1) for member in members if self._may_follow(member, depth))


def _text(value: str, limit: int) -> str:
    """Return text that can be written as UTF-8, shortened to `limit` characters from its end."""
    if len(value) > limit:
        value = f"{value[:limit]}... ({len(value) - limit:,} more characters)"
    # str.__str__ makes a plain str of a subclass; lone surrogates (undecodable file names) become escapes.
    return str.__str__(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _message(exc: BaseException) -> str:
    try:
        # str() of a group adds "(2 sub-exceptions)": the constructor's message is what makes it again.
        text: Any = exc.message if isinstance(exc, BaseExceptionGroup) else str(exc)  # pyright: ignore[reportUnknownMemberType]
        return _text(text, _MESSAGE_CHARS_MAX)
    except BaseException as error:  # str() runs the user's code, which may raise anything
        return f"<str() of it raised {type(error).__name__}>"


def _notes(exc: BaseException) -> tuple[str, ...]:
    try:
        notes: Any = getattr(exc, "__notes__", ())
        return tuple(_text(note, _NOTE_CHARS_MAX) for note in list(notes)[:_NOTES_MAX] if isinstance(note, str))
    except BaseException:  # a class may define its own attribute access
        return ()


def _flag(exc: BaseException) -> bool | None:
    try:
        value: Any = getattr(exc, "retryable", None)
    except BaseException:
        return None
    return value if value is True or value is False else None


def _retry_after_ms(exc: BaseException) -> int | None:
    try:
        value: Any = getattr(exc, "retry_after", None)
        return None if value is None else milliseconds(value)
    except BaseException:  # libraries put all kinds of things under this name: no duration, no wish
        return None


def _traceback_text(start: TracebackType | None) -> str:
    """Return the innermost frames as Python prints them: files, lines and source, no values."""
    try:
        frames = list(traceback.walk_tb(start))
        left_out = len(frames) - _TRACEBACK_FRAMES_MAX
        # walk_tb yields (frame, line); StackSummary.extract reads the source of the lines that are kept only.
        lines = traceback.StackSummary.extract(iter(frames[-_TRACEBACK_FRAMES_MAX:])).format()
        if left_out > 0:
            lines.insert(0, f"  ... {left_out} outer frames left out\n")
        return _text("".join(lines)[-_TRACEBACK_CHARS_MAX:], _TRACEBACK_CHARS_MAX)
    except BaseException:  # source of generated code may be anything
        return ""


_TEXT_FIELDS: Final = ("type", "message", "traceback")


def _from_wire(data: Any, depth: int) -> Failure:
    if type(data) is not dict or depth > 2 * _DEPTH_MAX:
        return Failure(type="", message="a failure that cannot be read")
    wire = cast("dict[str, Any]", data)
    texts = {name: wire[name] for name in _TEXT_FIELDS if type(wire.get(name)) is str}
    retryable, after = wire.get("retryable"), wire.get("retry_after_ms")
    return Failure(
        **{"type": "", **texts},
        bases=_texts(wire.get("bases")),
        cause=None if wire.get("cause") is None else _from_wire(wire["cause"], depth + 1),
        group=tuple(_from_wire(member, depth + 1) for member in _items(wire.get("group"))),
        notes=_texts(wire.get("notes")),
        retryable=retryable if type(retryable) is bool else None,
        retry_after_ms=after if type(after) is int and after >= 0 else None,
        payload=wire.get("payload"),
    )


def _items(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []  # pyright: ignore[reportUnknownVariableType]


def _texts(data: Any) -> tuple[str, ...]:
    return tuple(item for item in _items(data) if type(item) is str)


def _made(failure: Failure, known: Mapping[str, type[BaseException]], codec: Codec, depth: int) -> BaseException:
    members = [_made(member, known, codec, depth + 1) for member in failure.group]
    try:
        exc = rebuilt(failure.type, failure.bases, failure.message, failure.payload, members, known, codec)
    except BaseException:  # constructors of known classes are the user's code
        exc = None
    if exc is None:
        exc = RemoteError(failure.message, type=failure.type, traceback=failure.traceback)
    try:
        for note in failure.notes:
            if note not in getattr(exc, "__notes__", ()):
                exc.add_note(note)
        if failure.cause is not None and depth < 2 * _DEPTH_MAX:
            exc.__cause__ = _made(failure.cause, known, codec, depth + 1)
    except BaseException:  # a class may refuse attributes
        return exc
    return exc
