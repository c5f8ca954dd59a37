"""Fakes: what an activity does in a test instead of its own work, and the calls that were made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

from .._duration import Duration, seconds
from ..author import Activity
from ..author._activity_context import CompleteLater
from ..codec import Codec
from ..errors import CodecError, InvalidCallError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
UNSET: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt of an activity in a test. `arguments` has all of its arguments by name, defaults included; `at` is when it began.

    `token` is what `client.activity` takes, for an attempt that returned `complete_later()`.
    """

    activity: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    arguments: dict[str, Any]
    attempt: int
    at: datetime
    workflow_id: str
    run_id: str
    idempotency_key: str
    token: str

    def __getitem__(self, name: str) -> Any:
        """Return the argument `name`."""
        return self.arguments[name]


@dataclass(frozen=True, slots=True)
class InTurn:
    """Outcomes of successive calls; exceptions among them are raised. Made by `in_turn`."""

    outcomes: tuple[Any, ...]


def in_turn(*outcomes: Any) -> Any:
    """Return what `returns=` takes for a value, or an exception to raise, for each successive call.

    A list does the same, unless the activity returns lists itself: then a list is one value.
    """
    return InTurn(outcomes)


class Fake:
    """A fake of one activity, made by `TestEnvironment.fake`. In a `with` block it counts inside only; otherwise to the end.

    `calls` are the attempts that it has seen.
    """

    def __init__(self, activity: Activity[..., Any], takes_s: float, remove: Callable[[Fake], None]) -> None:
        self.activity, self.takes_s = activity, takes_s
        self.calls: list[Call] = []
        self._remove = remove
        self._first: list[Any] = []  # raised by the first calls, before `_then`
        self._then: _Outcomes = _Always(None)

    def outcome(self) -> Outcome:
        """Return what the next call does. Raises `AssertionError` if there is nothing left for it."""
        if self._first:
            return Outcome(error=self._first.pop(0))
        return self._then.next(self.activity.name)

    def stop(self) -> None:
        """Let the activity be what it was before."""
        self._remove(self)

    def __enter__(self) -> Fake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call does: raise `error`, call `function`, or return `value`."""

    value: Any = None
    error: BaseException | type[BaseException] | None = None
    function: Callable[..., Any] | None = None


class _Outcomes:
    def next(self, activity: str) -> Outcome:
        raise NotImplementedError


@dataclass
class _Always(_Outcomes):
    value: Any = None
    error: Any = None
    function: Any = None

    def next(self, activity: str) -> Outcome:
        return Outcome(self.value, self.error, self.function)


@dataclass
class _InTurn(_Outcomes):
    outcomes: Sequence[Any]
    used: int = field(default=0)

    def next(self, activity: str) -> Outcome:
        if self.used >= len(self.outcomes):
            raise AssertionError(
                f"the fake of {activity} was called once more than it has outcomes ({len(self.outcomes)}); "
                "each attempt is a call: is it retried, or called more often than expected?"
            )
        item = self.outcomes[self.used]
        self.used += 1
        return Outcome(error=item) if _is_error(item) else Outcome(value=item)


def make_fake(
    activity: Activity[..., Any],
    codec: Codec,
    remove: Callable[[Fake], None],
    *,
    returns: Any,
    raises: Any,
    takes: Duration,
    calls: Callable[..., Any] | None,
) -> Fake:
    """Return a checked fake. Raises `InvalidCallError` or `EncodeError` for one that the activity could not be."""
    fake = Fake(activity, seconds(takes, what="takes"), remove)
    if raises is not None:
        several = isinstance(raises, list | tuple)
        errors: list[Any] = [*raises] if several else [raises]  # pyright: ignore[reportUnknownVariableType]
        for error in errors:
            if not _is_error(error):
                raise InvalidCallError(f"raises: expected an exception, or a list of them, got {error!r}")
        if not several:
            if returns is not UNSET or calls is not None:
                raise InvalidCallError(
                    f"the fake of {activity.name} either raises or returns; raises=[...] raises once for each, and then returns"
                )
            fake._then = _Always(error=raises)
            return fake
        fake._first = errors
        if returns is UNSET and calls is None:
            fake._first, fake._then = [], _InTurn(errors)
            return fake
    fake._then = _outcomes(activity, codec, returns, calls)
    return fake


def _outcomes(activity: Activity[..., Any], codec: Codec, returns: Any, calls: Any) -> _Outcomes:
    if calls is not None:
        if returns is not UNSET:
            raise InvalidCallError(f"the fake of {activity.name} takes returns=... or calls=..., not both")
        if not callable(calls):
            raise InvalidCallError(f"calls: expected a function, got {calls!r}")
        check_parameters(activity, calls)
        return _Always(function=calls)
    if isinstance(returns, InTurn):
        return _each(activity, codec, returns.outcomes)
    if returns is UNSET:
        try:
            encoded(activity, codec, None)
        except CodecError as error:
            raise InvalidCallError(f"the fake of {activity.name} must say what it returns: {error}") from None
        return _Always()
    if callable(returns) and not isinstance(returns, type):
        check_parameters(activity, returns)
        return _Always(function=returns)
    try:
        encoded(activity, codec, returns)
    except CodecError:
        if not isinstance(returns, list):
            raise
        return _each(activity, codec, returns)  # pyright: ignore[reportUnknownArgumentType]
    return _Always(value=returns)


def _each(activity: Activity[..., Any], codec: Codec, outcomes: Sequence[Any]) -> _InTurn:
    if not outcomes:
        raise InvalidCallError(f"the fake of {activity.name} has an empty list of outcomes")
    for item in outcomes:
        if not _is_error(item):
            encoded(activity, codec, item)
    return _InTurn(tuple(outcomes))


def encoded(activity: Activity[..., Any], codec: Codec, value: Any) -> None:
    """Raise `CodecError` if `value` cannot be a result of `activity`, nor says that the result comes later."""
    if isinstance(value, CompleteLater):
        return
    activity.signature.encode_result(codec, value, what=f"the fake's result of activity {activity.name}")


def parameters_of(activity: Activity[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of `activity`, without `self`."""
    found = list(inspect.signature(activity.fn).parameters.values())
    return found[1:] if activity._skip_self else found


def bound_arguments(
    activity: Activity[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    """Return the arguments of a call by name, with the defaults."""
    bound = inspect.Signature(parameters_of(activity)).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound


def check_parameters(activity: Activity[..., Any], fake: Callable[..., Any]) -> None:
    """Raise `InvalidCallError` unless `fake` can be called with all arguments of `activity`, under the same names."""
    try:
        theirs = inspect.signature(fake)
    except (TypeError, ValueError):  # a builtin: it is not known what it takes
        return
    ours = parameters_of(activity)
    positional = [p.name for p in ours if p.kind in _POSITIONAL]
    keywords = {p.name: None for p in ours if p.kind is p.KEYWORD_ONLY}
    shown = f"{activity.name}{inspect.Signature([p.replace(annotation=p.empty) for p in ours])}"
    try:
        theirs.bind(*positional, **keywords)
    except TypeError as error:
        raise InvalidCallError(f"a fake of {shown} must take the same arguments, and this does not: {error}") from None
    named = [p.name for p in theirs.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if getattr(fake, "__name__", "") != "<lambda>" and any(
        mine != name for mine, name in zip(positional, named, strict=False)
    ):
        raise InvalidCallError(
            f"a fake of {shown} must name its parameters as that does, and this has ({', '.join(named)})"
        )


def _is_error(value: object) -> bool:
    return isinstance(value, Exception) or (isinstance(value, type) and issubclass(value, Exception))
