"""A run's signals: kept until the code reads them, handed to handlers in order, repeats dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from .handlers import Handler

if TYPE_CHECKING:
    import msgspec

    from ..history import SignalReceived
    from .run import Run


class SignalBox:
    """All signals of one run."""

    __slots__ = ("_arrived", "_buffers", "_dynamic", "_handlers", "_received", "_run", "_seen", "_waiters")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._arrived = 0
        self._buffers: dict[str, deque[tuple[int, msgspec.Raw]]] = {}  # each with its place in the order of arrival
        self._waiters: dict[str, deque[asyncio.Future[None]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._dynamic: Handler | None = None
        self._received: set[str] = set()  # names that the code has asked for: these are not for the dynamic handler
        self._seen: set[str] = set()

    def knows(self, request: str) -> bool:
        """Return whether a signal of this request was delivered already."""
        return request in self._seen

    @property
    def awaited(self) -> list[str]:
        """The names of the signals that the code waits for."""
        return [name for name, waiters in self._waiters.items() if any(not waiter.done() for waiter in waiters)]

    @property
    def names(self) -> list[str]:
        """The names of the signals that the code has asked for or has a handler for, sorted."""
        return sorted(self._received | self._handlers.keys())

    @property
    def has_dynamic(self) -> bool:
        """Whether there is a handler for unknown names."""
        return self._dynamic is not None

    def deliver(self, event: SignalReceived) -> None:
        """Hand the signal to its handler, or keep it and wake who waits longest for it."""
        self._seen.add(event.request)
        handler = self._handlers.get(event.name)
        if handler is not None:
            self._dispatch(handler, event.value)
            return
        if self._dynamic is not None and event.name not in self._received:
            self._dispatch(self._dynamic, event.value, event.name)
            return
        self._arrived += 1
        self._buffers.setdefault(event.name, deque()).append((self._arrived, event.value))
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
        self._received.add(name)
        buffer = self._buffers.get(name)
        return buffer.popleft()[1] if buffer else None

    def register(self, name: str, handler: Handler) -> None:
        """Hand every signal `name` to `handler` from now on, those that were kept first."""
        self._handlers[name] = handler
        for _, value in self._buffers.pop(name, ()):
            self._dispatch(handler, value)

    def register_dynamic(self, handler: Handler) -> None:
        """Hand every signal of a name that the code has not asked for to `handler`, those that were kept first, as they arrived."""
        self._dynamic = handler
        unknown = [name for name in self._buffers if name not in self._received]
        kept = [(place, name, value) for name in unknown for place, value in self._buffers.pop(name)]
        for _, name, value in sorted(kept, key=lambda item: item[0]):
            self._dispatch(handler, value, name)

    def _wake(self, name: str) -> None:
        waiters = self._waiters.get(name)
        while waiters and self._buffers.get(name):
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _dispatch(self, handler: Handler, raw: msgspec.Raw, *before: Any) -> None:
        self._run.calls.begin(handler, (*before, handler.decode(raw)), self._ended)

    def _ended(self, _result: Any, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._run.fail(error)
