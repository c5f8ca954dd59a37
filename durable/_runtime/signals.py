"""A run's signals: kept until the code reads them, handed to handlers in order, repeats dropped."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
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

    __slots__ = ("_buffers", "_handlers", "_open", "_pump", "_queue", "_run", "_seen", "_tasks", "_waiters")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffers: dict[str, deque[msgspec.Raw]] = {}
        self._waiters: dict[str, deque[asyncio.Future[None]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._seen: set[str] = set()
        self._queue: deque[tuple[Handler, Any]] = deque()
        self._tasks: dict[int, asyncio.Task[None]] = {}  # of handlers, by sequence number; the pump is one of them
        self._pump: asyncio.Task[None] | None = None
        self._open = True

    def knows(self, request: str) -> bool:
        """Return whether a signal of this request was delivered already."""
        return request in self._seen

    @property
    def awaited(self) -> list[str]:
        """The names of the signals that the code waits for."""
        return [name for name, waiters in self._waiters.items() if any(not waiter.done() for waiter in waiters)]

    @property
    def busy(self) -> bool:
        """Whether a handler is running or about to run."""
        return bool(self._tasks)

    def deliver(self, event: SignalReceived) -> None:
        """Hand the signal to its handler, or keep it and wake who waits longest for it."""
        self._seen.add(event.request)
        handler = self._handlers.get(event.name)
        if handler is not None:
            self._dispatch(handler, event.value)
            return
        self._buffers.setdefault(event.name, deque()).append(event.value)
        self._wake(event.name)

    async def receive(self, name: str) -> msgspec.Raw:
        """Wait for the next signal `name`. One that arrives as the wait is cancelled goes to whoever waits or comes next."""
        while (value := self.take(name)) is None:
            waiter: asyncio.Future[None] = self._run.loop.create_future()
            waiters = self._waiters.setdefault(name, deque())
            waiters.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake(name)
                elif waiter in waiters:
                    waiters.remove(waiter)
                raise
        return value

    def take(self, name: str) -> msgspec.Raw | None:
        """Return the next kept signal `name` without waiting, or None."""
        buffer = self._buffers.get(name)
        return buffer.popleft() if buffer else None

    def register(self, name: str, handler: Handler) -> None:
        """Hand every signal `name` to `handler` from now on, those that were kept first."""
        self._handlers[name] = handler
        for value in self._buffers.pop(name, ()):
            self._dispatch(handler, value)

    def cancel_handlers(self) -> None:
        """Cancel the handlers that run, and call none any more."""
        self._open = False
        self._queue.clear()
        for task in list(self._tasks.values()):
            task.cancel()

    def _wake(self, name: str) -> None:
        waiters = self._waiters.get(name)
        while waiters and self._buffers.get(name):
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _dispatch(self, handler: Handler, raw: msgspec.Raw) -> None:
        value = handler.decode(raw)
        if not self._open:
            return
        if handler.concurrent or not inspect.iscoroutinefunction(handler.function):
            self._start(self._call(handler, value))
            return
        self._queue.append((handler, value))
        if self._pump is None or self._pump.done():
            self._pump = self._start(self._drain())

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._run.spawn(coroutine)
        self._tasks[hash(task)] = task
        task.add_done_callback(self._finished, context=self._run.context)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(hash(task), None)
        if self._queue and (self._pump is None or self._pump is task):
            self._pump = self._start(self._drain())  # the code cancelled the one before

    async def _drain(self) -> None:
        while self._queue:
            handler, value = self._queue.popleft()
            await self._call(handler, value)

    async def _call(self, handler: Handler, value: Any) -> None:
        try:
            result = handler.function(value)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            self._run.fail(error)
