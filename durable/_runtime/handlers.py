"""The handlers of a run's signals and updates: async ones take their messages one at a time, in order, unless concurrent."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

    from .around import Within
    from .run import Run

Ended = Callable[[Any, BaseException | None], None]
"""Takes what a handler returned, or what it raised: also the `CancelledError` of one that was cancelled."""


@dataclass(slots=True, eq=False)
class Handler:
    """A function for the messages of a name. `decode` stops the step if the value is not of its type.

    `concurrent`: it does not wait for its turn. `abandon`: the run does not wait for it before it closes.
    """

    function: Callable[..., Any]
    decode: Callable[[msgspec.Raw], Any]
    concurrent: bool = False
    abandon: bool = False


@dataclass(slots=True, eq=False)
class Call:
    """A message on its way through its handler. `args` are what the handler is called with.

    `put_back` is for what may go to the next run if the code continues as new before the handler has `begun`; None: it must not.
    """

    handler: Handler
    args: tuple[Any, ...]
    ended: Ended
    put_back: Callable[[], object] | None = None
    begun: bool = False
    within: Within | None = None  # calls the handler, if interceptors do


class HandlerCalls:
    """All calls of handlers in one run."""

    __slots__ = ("_code_ended", "_open", "_pump", "_pumped", "_queue", "_run", "_tasks")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._queue: deque[Call] = deque()  # of those that take turns
        self._tasks: dict[int, tuple[asyncio.Task[None], Call | None]] = {}  # by sequence number; None: the pump
        self._pump: asyncio.Task[None] | None = None
        self._pumped: Call | None = None  # what the pump is at
        self._open = True
        self._code_ended = False

    @property
    def busy(self) -> bool:
        """Whether a handler that the run waits for is running or about to run."""
        waiting = any(not call.handler.abandon for call in self._queue)
        return waiting or any(call is None or not call.handler.abandon for _, call in self._running())

    def takes(self, handler: Handler) -> bool:
        """Whether `handler` is still called: not once the code has failed, and one to abandon not once it has returned."""
        return self._open and not (self._code_ended and handler.abandon)

    def begin(
        self,
        handler: Handler,
        args: tuple[Any, ...],
        ended: Ended,
        put_back: Callable[[], object] | None = None,
        within: Within | None = None,
    ) -> None:
        """Call `handler` with `args`, at once or when it is its turn. Does nothing if it is not called any more."""
        if not self.takes(handler):
            return
        call = Call(handler, args, ended, put_back, within=within)
        if handler.concurrent or not inspect.iscoroutinefunction(handler.function):
            self._start(self._call(call), call)
            return
        self._queue.append(call)
        if self._pump is None or self._pump.done():
            self._pump = self._start(self._drain(), None)

    def abandon(self) -> None:
        """The code has returned: cancel the handlers that the run does not wait for, and call them no more."""
        self._code_ended = True
        dropped = [call for call in self._queue if call.handler.abandon]
        self._queue = deque(call for call in self._queue if not call.handler.abandon)
        self._drop(dropped)
        for task, call in self._running():
            if call is not None and call.handler.abandon:
                task.cancel()

    def cancel(self) -> None:
        """Cancel the handlers that run, and call none any more."""
        self._open = False
        dropped, self._queue = self._queue, deque()
        self._drop(dropped)
        for task, _ in list(self._tasks.values()):
            task.cancel()

    def _drop(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if not self._put_back(call):
                call.ended(None, asyncio.CancelledError())

    def _put_back(self, call: Call) -> bool:
        """Leave `call` to the next run if the code has continued as new, and it may."""
        if call.put_back is None or self._run.continuing is None:
            return False
        call.put_back()
        return True

    def _running(self) -> list[tuple[asyncio.Task[None], Call | None]]:
        """The tasks, each with what it is at; the pump before its first call with None."""
        return [(task, self._pumped if task is self._pump else call) for task, call in self._tasks.values()]

    def _start(self, coroutine: Coroutine[Any, Any, None], call: Call | None) -> asyncio.Task[None]:
        task = self._run.spawn(coroutine)
        self._tasks[hash(task)] = task, call
        task.add_done_callback(self._finished, context=self._run.context)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        _, call = self._tasks.pop(hash(task), (None, None))
        if call is not None and not call.begun:
            self._drop([call])  # cancelled before its first step
        if task is self._pump:
            self._pumped = None
        if self._queue and (self._pump is None or self._pump is task):
            self._pump = self._start(self._drain(), None)  # the code cancelled the one before

    async def _drain(self) -> None:
        while self._queue:
            self._pumped = call = self._queue.popleft()
            await self._call(call)
            self._pumped = None

    async def _call(self, call: Call) -> None:
        call.begun = True
        if self._put_back(call):
            return
        try:
            function = call.handler.function
            result = function(*call.args) if call.within is None else call.within(function, call.args)
            if inspect.isawaitable(result):
                result = await result
        except asyncio.CancelledError as error:
            call.ended(None, error)
            raise
        except Exception as error:
            call.ended(None, error)
        else:
            call.ended(result, None)
