"""A run's signals: kept until the code reads them, handed to handlers in order, repeats dropped.

What the code has not read when it continues as new is handed on (`unread`), in order of arrival: what is kept, and what a
handler has not begun with. From then on no handler begins, since the state that it would change is not the next run's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..history import CarriedSignal
from .handlers import Handler

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from ..history import SignalReceived
    from .run import Run


@dataclass(slots=True, eq=False)
class Kept:
    """A signal that the code has not read: the `number`th that arrived."""

    number: int
    signal: SignalReceived | CarriedSignal


class SignalBox:
    """All signals of one run."""

    __slots__ = ("_arrived", "_buffers", "_dynamic", "_handlers", "_put_back", "_received", "_run", "_seen", "_waiters")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._arrived = 0
        self._buffers: dict[str, deque[Kept]] = {}
        self._put_back: list[Kept] = []  # for a handler that had not begun when the code continued as new
        self._waiters: dict[str, deque[asyncio.Future[None]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._dynamic: Handler | None = None
        self._received: set[str] = set()  # names that the code has asked for: these are not for the dynamic handler
        self._seen: dict[str, None] = {}  # ids of calls, in order

    def knows(self, request: str) -> bool:
        """Return whether a signal or another call of this request was delivered already, to this run or one before it."""
        return request in self._seen

    def note_requests(self, requests: Iterable[str]) -> None:
        """Take calls of these ids for answered: a repeat is dropped, here and in the runs that continue this one."""
        self._seen.update(dict.fromkeys(requests))

    def requests(self, limit: int) -> tuple[str, ...]:
        """Return the ids of the last `limit` calls, oldest first."""
        return tuple(self._seen)[-limit:]

    def unread(self) -> tuple[CarriedSignal, ...]:
        """Return the signals that the code has not read, in order of arrival."""
        kept = [*self._put_back, *(each for buffer in self._buffers.values() for each in buffer)]
        return tuple(_carried(each.signal) for each in sorted(kept, key=lambda each: each.number))

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

    def deliver(self, event: SignalReceived | CarriedSignal) -> None:
        """Hand the signal to its handler, or keep it and wake who waits longest for it."""
        self._seen[event.request] = None
        self._arrived += 1
        kept = Kept(self._arrived, event)
        handler = self._handlers.get(event.name)
        if handler is not None:
            self._dispatch(handler, kept)
            return
        if self._dynamic is not None and event.name not in self._received:
            self._dispatch(self._dynamic, kept, event.name)
            return
        self._buffers.setdefault(event.name, deque()).append(kept)
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
        return buffer.popleft().signal.value if buffer else None

    def register(self, name: str, handler: Handler) -> None:
        """Hand every signal `name` to `handler` from now on, those that were kept first."""
        self._handlers[name] = handler
        for kept in self._buffers.pop(name, ()):
            self._dispatch(handler, kept)

    def register_dynamic(self, handler: Handler) -> None:
        """Hand every signal of a name that the code has not asked for to `handler`, those that were kept first, as they arrived."""
        self._dynamic = handler
        unknown = [name for name in self._buffers if name not in self._received]
        found = [kept for name in unknown for kept in self._buffers.pop(name)]
        for kept in sorted(found, key=lambda each: each.number):
            self._dispatch(handler, kept, kept.signal.name)

    def _wake(self, name: str) -> None:
        waiters = self._waiters.get(name)
        while waiters and self._buffers.get(name):
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _dispatch(self, handler: Handler, kept: Kept, *before: Any) -> None:
        if self._run.continuing is not None:
            self._put_back.append(kept)
            return
        run, value = self._run, handler.decode(kept.signal.value)
        within = None if run.around is None else run.around.signalled(run, kept.signal)
        run.calls.begin(handler, (*before, value), self._ended, partial(self._put_back.append, kept), within)

    def _ended(self, _result: Any, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._run.fail(error)


def _carried(signal: SignalReceived | CarriedSignal) -> CarriedSignal:
    return CarriedSignal(name=signal.name, request=signal.request, value=signal.value, headers=signal.headers)
