"""`Signal` and `Query`: typed contracts that a workflow and its clients share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from .._duration import Duration, seconds
from .._ids import checked_name
from .._runtime.context import require_run
from .._runtime.run import Run
from .._runtime.signals import Handler
from ..codec import Codec, Payload, Signature, signature_of
from ..errors import DecodeError, DefinitionError, InvalidCallError
from ..history import from_raw
from ._definitions import checked_function, describe

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D")
F = TypeVar("F", bound=Callable[..., Any])


class _Required:
    """Stands for "no default was given"."""


_REQUIRED = _Required()


class Signal(Generic[T]):
    """A message from outside to a run, of name `name` and type `type` (default: None, a signal without a value).

    A signal is kept until the code reads it, in order of arrival, and never lost: one that was acknowledged before the run
    closed is in its history. Names and types are checked on both sides.
    """

    @overload
    def __init__(self: Signal[None], name: str) -> None: ...
    @overload
    def __init__(self, name: str, type: type[T]) -> None: ...
    def __init__(self, name: str, type: Any = None) -> None:  # noqa: A002 - the field's name
        self.name = checked_name(name, "signal name")
        self.type: Any = type

    async def receive(self, *, timeout: Duration | None = None, default: D | _Required = _REQUIRED) -> T | D:
        """Wait for the next signal of this name and return its value.

        After `timeout` (a durable timer) raises `TimeoutError`, or returns `default` if that is given. Works in workflow
        code only. A value that does not fit the type makes the run stuck, not failed.
        """
        run = require_run(f"Signal({self.name!r}).receive")
        raw = run.signals.take(self.name)
        if raw is None and timeout is None:
            raw = await run.signals.receive(self.name)
        if raw is not None:
            return self._decoded(run, raw)
        try:
            async with asyncio.timeout(seconds(cast(Duration, timeout), what="timeout")):
                raw = await run.signals.receive(self.name)
        except TimeoutError:
            if isinstance(default, _Required):
                raise TimeoutError(f"no signal {self.name!r} within {timeout}") from None
            return default
        return self._decoded(run, raw)

    def receive_nowait(self) -> T | None:
        """Return the next signal that has arrived, or None. Works in workflow code only."""
        run = require_run(f"Signal({self.name!r}).receive_nowait")
        raw = run.signals.take(self.name)
        return None if raw is None else self._decoded(run, raw)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield each signal of this name, for ever."""
        while True:
            yield await self.receive()

    @overload
    def handler(self, fn: F, /) -> F: ...
    @overload
    def handler(self, /, *, concurrent: bool = False) -> Callable[[F], F]: ...
    def handler(self, fn: Any = None, /, *, concurrent: bool = False) -> Any:
        """Hand each signal of this name to the decorated function, a `def` or `async def` inside the workflow.

        Those that arrived before come first. Async handlers of a run take their signals one at a time, in order, unless
        `concurrent`. An exception of a handler fails the run; the run waits for its handlers before it closes.
        """
        run = require_run(f"Signal({self.name!r}).handler")

        def register(function: F) -> F:
            checked = checked_function(function, "signal handler")
            takes_value = bool(inspect.signature(checked).parameters)
            if not takes_value and self.type is not None:
                raise DefinitionError(f"the handler {describe(checked)} must take the value of signal {self.name!r}")
            call = checked if takes_value else _ignoring_value(checked)
            run.signals.register(self.name, Handler(call, lambda raw: self._decoded(run, raw), concurrent))
            return function

        return register if fn is None else register(fn)

    def encode(self, codec: Codec, value: Any) -> Payload:
        """Return `value` as this signal's payload. Raises `EncodeError` if it does not fit the type."""
        return codec.encode(value, self.type, what=f"the value of signal {self.name!r}")

    def _decoded(self, run: Run, raw: msgspec.Raw) -> T:
        try:
            return cast(T, run.codec.decode(from_raw(raw), self.type, what=f"the value of signal {self.name!r}"))
        except Exception as error:  # not the code's fault, whatever it is: the run is stuck, not failed
            run.abort(error)

    def __repr__(self) -> str:
        return f"Signal({self.name!r}, {getattr(self.type, '__name__', self.type)})"


def _ignoring_value(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    if inspect.iscoroutinefunction(fn):

        async def call_async(_value: Any) -> Any:
            return await fn()

        return call_async
    return lambda _value: fn()


class Query(Generic[R]):
    """A question to a run, answered by a handler inside its workflow; `type` is the answer's type.

    Answering reads only: the handler is a plain `def` that awaits and commands nothing, and the history has no trace of it.
    A closed run answers as well, from a replay.
    """

    @overload
    def __init__(self: Query[Any], name: str) -> None: ...
    @overload
    def __init__(self, name: str, type: type[R]) -> None: ...
    @overload
    def __init__(self: Query[Any], name: str, type: Any) -> None: ...
    def __init__(self, name: str, type: Any = Any) -> None:  # noqa: A002 - the field's name
        self.name = checked_name(name, "query name")
        self.type: Any = type

    def handler(self, fn: F) -> F:
        """Answer this query by the decorated function, a `def` inside the workflow. Raises `DefinitionError` for others."""
        run = require_run(f"Query({self.name!r}).handler")
        function = checked_function(fn, "query handler")
        if inspect.iscoroutinefunction(function):
            raise DefinitionError(f"a query handler must be a plain def, it cannot await: {describe(function)}")
        signature = signature_of(function)

        def answer(args: msgspec.Raw) -> Payload:
            return _answer(run, self, signature, function, args)

        run.queries[self.name] = answer
        return fn

    def __repr__(self) -> str:
        return f"Query({self.name!r}, {getattr(self.type, '__name__', self.type)})"


def _answer(
    run: Run, query: Query[Any], signature: Signature, function: Callable[..., Any], raw: msgspec.Raw
) -> Payload:
    what = f"query {query.name!r}"
    try:
        args, kwargs = signature.decode_call(run.codec, from_raw(raw), what=what)
    except DecodeError as error:
        raise InvalidCallError(f"the arguments of {what} do not fit its handler: {error}") from None
    return run.codec.encode(function(*args, **kwargs), query.type, what=f"the answer of {what}")
