"""The callbacks that a loop is going to run. Lighter than asyncio's own handles: one is made for every wake-up of a task."""

from collections.abc import Callable
from contextvars import Context
from typing import Protocol

TimerToken = int
"""What the runtime calls a timer that it started (its command's number). The loop hands it back to cancel the timer."""


class Handle:
    """A callback in the ready queue. `cancel()` before it runs keeps it from running."""

    __slots__ = ("_args", "_callback", "_context")

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...], context: Context) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = context

    def cancel(self) -> None:
        self._callback = None
        self._args = ()

    def cancelled(self) -> bool:
        return self._callback is None

    def get_context(self) -> Context:
        return self._context

    def __repr__(self) -> str:
        state = "cancelled" if self._callback is None else repr(self._callback)
        return f"<{type(self).__name__} {state}>"


class TimerQueue(Protocol):
    """Where a timer handle goes when it fires, and where it is cancelled."""

    def timer_fired(self, handle: "TimerHandle") -> None: ...

    def timer_cancelled(self, token: TimerToken) -> None: ...


class TimerHandle(Handle):
    """A callback that waits for its time. `token` is None unless a timer of the runtime stands behind it now."""

    __slots__ = ("_queue", "_when", "token")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
        context: Context,
        queue: TimerQueue,
    ) -> None:
        super().__init__(callback, args, context)
        self._when = when
        self._queue = queue
        self.token: TimerToken | None = None

    def when(self) -> float:
        return self._when

    def fire(self) -> None:
        """Put the callback into the ready queue. Does nothing if the timer was cancelled or has fired already."""
        if self.token is not None:
            self.token = None
            self._queue.timer_fired(self)

    def cancel(self) -> None:
        super().cancel()
        token, self.token = self.token, None
        if token is not None:
            self._queue.timer_cancelled(token)
