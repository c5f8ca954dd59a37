"""A run's signals: kept until the code reads them, handed to handlers in order, repeats dropped."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

    from ..history import SignalReceived
    from .run import Run


@dataclass(slots=True)
class Handler:
    """A function that takes each signal of a name. Async ones run one at a time over the whole run unless `concurrent`."""

    function: Callable[[Any], Any]
    decode: Callable[[msgspec.Raw], Any]
    concurrent: bool


class SignalBox:
    """All signals of one run."""

    __slots__ = ("_buffers", "_handlers", "_pump", "_queue", "_run", "_running", "_seen", "_waiters")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffers: dict[str, deque[msgspec.Raw]] = {}
        self._waiters: dict[str, deque[asyncio.Future[msgspec.Raw]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._seen: set[str] = set()
        self._queue: deque[tuple[Handler, Any]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._running = 0

    def knows(self, request: str) -> bool:
        """Return whether a signal of this request was delivered already."""
        return request in self._seen

    @property
    def busy(self) -> bool:
        """Whether a handler is running or about to run."""
        return self._running > 0 or bool(self._queue)

    def deliver(self, event: SignalReceived) -> None:
        """Hand the signal to its handler, or to who waits longest for it, or keep it."""
        self._seen.add(event.request)
        handler = self._handlers.get(event.name)
        if handler is not None:
            self._dispatch(handler, event.value)
            return
        waiters = self._waiters.get(event.name)
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(event.value)
                return
        self._buffers.setdefault(event.name, deque()).append(event.value)

    async def receive(self, name: str) -> msgspec.Raw:
        """Wait for the next signal `name`. A signal that arrives as the wait is cancelled is kept for the next one."""
        buffer = self._buffers.setdefault(name, deque())
        if buffer:
            return buffer.popleft()
        waiter: asyncio.Future[msgspec.Raw] = self._run.loop.create_future()
        self._waiters.setdefault(name, deque()).append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                buffer.appendleft(waiter.result())
            raise

    def take(self, name: str) -> msgspec.Raw | None:
        """Return the next kept signal `name` without waiting, or None."""
        buffer = self._buffers.get(name)
        return buffer.popleft() if buffer else None

    def register(self, name: str, handler: Handler) -> None:
        """Hand every signal `name` to `handler` from now on, those that were kept first."""
        self._handlers[name] = handler
        for value in self._buffers.pop(name, ()):
            self._dispatch(handler, value)

    def _dispatch(self, handler: Handler, raw: msgspec.Raw) -> None:
        value = handler.decode(raw)
        if handler.concurrent or not inspect.iscoroutinefunction(handler.function):
            self._running += 1
            self._run.spawn(self._call(handler, value))
            return
        self._queue.append((handler, value))
        if self._pump is None or self._pump.done():
            self._pump = self._run.spawn(self._drain())

    async def _drain(self) -> None:
        while self._queue:
            handler, value = self._queue.popleft()
            self._running += 1
            await self._call(handler, value)

    async def _call(self, handler: Handler, value: Any) -> None:
        try:
            result = handler.function(value)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            self._run.fail(error)
        finally:
            self._running -= 1
