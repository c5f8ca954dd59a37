"""`Signal`: a message to a run, of a name and a type that the workflow and its clients share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from .._duration import Duration, seconds
from .._ids import checked_name
from .._runtime.context import require_run
from .._runtime.handlers import Handler
from .._runtime.run import Run
from ..codec import Codec, Payload
from ._handlers import F, Unfinished, abandons, decoded, taking_name, taking_value

T = TypeVar("T")
D = TypeVar("D")


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
    def handler(self, /, *, concurrent: bool = False, unfinished: Unfinished = "wait") -> Callable[[F], F]: ...
    def handler(self, fn: Any = None, /, *, concurrent: bool = False, unfinished: Unfinished = "wait") -> Any:
        """Hand each signal of this name to the decorated function, a `def` or `async def` inside the workflow.

        Those that arrived before come first. Async handlers of a run, of signals and updates alike, take their messages one
        at a time, in order, unless `concurrent`. An exception of a handler fails the run. The run waits for the handler
        before it closes, or with `unfinished="abandon"` cancels it when the workflow returns. A later handler of the
        same name takes over.
        """
        run = require_run(f"Signal({self.name!r}).handler")
        abandon = abandons(unfinished)

        def register(function: F) -> F:
            call = taking_value(function, f"signal {self.name!r}", self.type)
            run.signals.register(self.name, Handler(call, lambda raw: self._decoded(run, raw), concurrent, abandon))
            return function

        return register if fn is None else register(fn)

    @staticmethod
    def dynamic(fn: F, /) -> F:
        """Hand each signal of an unknown name to the decorated function, a `def` or `async def` inside the workflow.

        It is called with the name and the value, as JSON data. A name is unknown while the code has no handler for it and has
        never asked for it by `receive`. Those that arrived before come first, in their order. Takes turns with other handlers.
        """
        run = require_run("Signal.dynamic")
        call = taking_name(fn, "signal")
        run.signals.register_dynamic(Handler(call, lambda raw: decoded(run, raw, Any, "the value of a signal")))
        return fn

    def encode(self, codec: Codec, value: Any) -> Payload:
        """Return `value` as this signal's payload. Raises `EncodeError` if it does not fit the type."""
        return codec.encode(value, self.type, what=f"the value of signal {self.name!r}")

    def _decoded(self, run: Run, raw: msgspec.Raw) -> T:
        return cast(T, decoded(run, raw, self.type, f"the value of signal {self.name!r}"))

    def __repr__(self) -> str:
        return f"Signal({self.name!r}, {getattr(self.type, '__name__', self.type)})"
