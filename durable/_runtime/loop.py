"""The event loop of one workflow run: plain asyncio for the code inside, one fixed order for whoever replays it.

The runtime drives it from outside: it sets `now`, resolves a future or fires a timer, and calls `run_until_quiescent()`,
which may happen while a task of another loop is running in the thread. Nothing here waits, reads a clock or makes a
random number. Callbacks run in the order of asyncio's own loop, pass by pass (tests/runtime/test_loop_order.py).

Known limits: `asyncio.Future()` made by class (not by `loop.create_future()`) hashes by address, so a set of such has no
fixed order; so has the set that `asyncio.all_tasks()` returns once numbers collide in it: sort it by name first.
"""

import asyncio
import sys
from asyncio import tasks as _asyncio_tasks
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from itertools import count
from math import inf
from typing import Any, TypeVar
from weakref import WeakSet

from ._collector import collecting, watch_collector
from ._disposal import dispose_generators, dispose_tasks, quietly
from ._futures import EagerTask, Future, Task, number_gatherings
from ._handles import Handle, TimerHandle, TimerToken
from ._order import ENSURE_FUTURE, awaitables_of_as_completed
from ._refusals import RefusingLoop

__all__ = ["DeterministicLoop", "TimerToken"]

T = TypeVar("T")
ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]
StartTimer = Callable[[float, Callable[[], None]], TimerToken]
_Outer = tuple[asyncio.AbstractEventLoop | None, "asyncio.Task[Any] | None", Any]

# From 3.14 the current task belongs to the thread, not to the loop: the outer one is put aside while we run.
_TASK_IS_PER_THREAD: bool = sys.version_info >= (3, 14)
_TASKS_CAN_BE_EAGER: bool = sys.version_info >= (3, 12)


def _no_swap(loop: object, task: object) -> None:
    return None


_swap_current_task: Callable[..., Any] = getattr(_asyncio_tasks, "_swap_current_task", _no_swap)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value == value


async def _result_of(future: "asyncio.Future[T]") -> T:
    return await future


def _is_future(value: object) -> bool:
    return isinstance(value, asyncio.Future)


_KINDS: dict[bool, type[Task[Any]]] = {False: Task, True: EagerTask}


class DeterministicLoop(RefusingLoop):
    """Runs the tasks of one workflow run. Not thread-safe: one thread at a time.

    - `start_timer(delay_s, fire)` is called for each timer with a delay over 0, within the code that asks for it. It
      returns a token; the runtime calls `fire()` when the timer is due, which makes the callback ready. Repeated calls and
      calls after a cancellation do nothing.
    - `cancel_timer(token)` is called once when a timer that has not fired is cancelled.
    - `on_unhandled(context)` takes what asyncio gives an exception handler. It may come from a finalizer, at any time.

    `now` is the time in seconds that `time()` returns. `owner` is free for the runtime's use. Once `disposing` is set, the
    execution is being dropped: whatever its code still asks for must have no effect. It stays set.
    """

    def __init__(
        self,
        *,
        start_timer: StartTimer,
        cancel_timer: Callable[[TimerToken], None],
        on_unhandled: Callable[[dict[str, Any]], None],
        now: float = 0.0,
    ) -> None:
        number_gatherings()
        watch_collector()
        self.now = now
        self.owner: object = None
        self.disposing = False
        self.next_sequence: Callable[[], int] = count(1).__next__
        self._next_name = count(1).__next__
        self._start_timer = start_timer
        self._cancel_timer = cancel_timer
        self._on_unhandled = on_unhandled
        self._exception_handler: ExceptionHandler | None = None
        self._ready: deque[Handle] = deque()
        self._due: list[Handle] = []
        self._running = False
        self._closed = False
        self._context = copy_context()
        self._live: dict[int, Task[Any]] = {}  # asyncio refers to tasks weakly: the collector could end one at any time
        self._prepared: dict[int, Task[Any]] = {}
        self._asyncgens: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()
        self._abandoned: list[AsyncGenerator[Any, Any]] = []

    # -- driven by the runtime ----------------------------------------------------------------------------------------

    def run_until_quiescent(self) -> None:
        """Run what is ready, and what becomes ready by it, until nothing is.

        An exception that a callback raises goes to the exception handler, except `KeyboardInterrupt` and `SystemExit`
        (and classes below these), which end the run at once: the execution is to be dropped then.
        """
        if self._running or self._closed:
            raise RuntimeError("this event loop is running already" if self._running else "Event loop is closed")
        outer = self._outer()
        try:
            try:
                self._enter(outer)
                self._drain()
            finally:
                self._leave(outer)
        except BaseException:
            # The watchdog's exception may land inside the `finally` above; it comes once in seconds, so not here as well.
            self._leave(outer)
            raise

    def dispose(self) -> None:
        """Drop the execution: close its coroutines without effect and without a message. Never raises.

        Their `finally` blocks do run (Python gives no other way), with `disposing` set: awaits in them end at once, timers
        and tasks are not started. No method but this one may be called afterwards.
        """
        if self.disposing:
            return
        self.disposing = True
        self._ready.clear()
        self._due.clear()
        if self._live or self._asyncgens or self._abandoned:
            outer = self._outer()
            quietly(lambda: self._enter(outer))
            quietly(lambda: dispose_tasks(self, self._live))
            quietly(lambda: dispose_generators([*self._asyncgens, *self._abandoned]))
            self._leave(outer)
        for leftover in (self._live, self._prepared, self._ready, self._due, self._abandoned):
            leftover.clear()
        self._closed = True

    def is_quiescent(self) -> bool:
        """Return whether nothing is ready to run."""
        return not self._ready and not self._due

    def timer_fired(self, handle: TimerHandle) -> None:
        """Called by a timer's handle: its callback is ready."""
        self._ready.append(handle)

    def timer_cancelled(self, token: TimerToken) -> None:
        """Called by a timer's handle: the runtime's timer is not wanted any more."""
        if not self.disposing:
            self._cancel_timer(token)

    @property
    def live_tasks(self) -> tuple["asyncio.Task[Any]", ...]:
        """The tasks that are not done, in the order of their creation."""
        return tuple(self._live.values())

    def _outer(self) -> _Outer:
        loop = _get_running_loop()
        # In an asyncio callback there is no current task; swapping in None answers that as well.
        task = _swap_current_task(loop, None) if _TASK_IS_PER_THREAD and loop is not None else None
        return loop, task, sys.get_asyncgen_hooks()

    def _enter(self, outer: _Outer) -> None:
        self._running = True
        _set_running_loop(self)
        # Always: a generator first iterated here would otherwise be finalized by the outer loop, outside of the workflow.
        sys.set_asyncgen_hooks(self._note_asyncgen, self._asyncgen_dropped)

    def _leave(self, outer: _Outer) -> None:
        loop, task, hooks = outer
        _set_running_loop(loop)
        if _TASK_IS_PER_THREAD and loop is not None:
            _swap_current_task(loop, task)
        sys.set_asyncgen_hooks(*hooks)
        self._running = False

    def _drain(self) -> None:
        ready, due = self._ready, self._due
        popleft = ready.popleft
        handle: Handle | None
        callback: Callable[..., object] | None
        while True:
            if due:  # as asyncio does: what is due at once runs after what was ready when this pass began
                ready.extend(due)
                due.clear()
            passing = len(ready)
            if not passing:
                handle = callback = None  # a traceback may keep this frame, and with it the last task
                return
            for _ in range(passing):
                handle = popleft()
                callback = handle._callback
                if callback is None:
                    continue
                try:
                    handle._context.run(callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    message = f"Exception in callback {callback!r}"
                    self.call_exception_handler({"message": message, "exception": error, "handle": handle})

    # -- asyncio: scheduling ------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., object], *args: object, context: Context | None = None) -> Any:
        handle = Handle(callback, args, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Any:
        """Call back in `delay` seconds: a durable timer if that is over 0. `inf` never fires, and nothing is recorded."""
        if not _is_number(delay):
            raise ValueError(f"expected a delay in seconds, got {delay!r}")
        return self._call_at(self.now + delay, delay, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Any:
        if not _is_number(when):
            raise ValueError(f"expected a time in seconds, got {when!r}")
        # asyncio.timeout(30) comes here as now + 30; near the present a float has steps of 0.24 us, so that the
        # difference is 30.0000002, which the durable timer would round up by a millisecond.
        return self._call_at(when, round(when - self.now, 6) if when != inf else inf, callback, args, context)

    def _call_at(
        self,
        when: float,
        delay: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
        context: Context | None,
    ) -> TimerHandle:
        handle = TimerHandle(when, callback, args, copy_context() if context is None else context, self)
        if delay <= 0:
            self._due.append(handle)
        elif delay != inf and not self.disposing:
            handle.token = self._start_timer(delay, handle.fire)
        return handle

    # -- asyncio: futures and tasks -----------------------------------------------------------------------------------

    def create_future(self) -> Future[Any]:
        future: Future[Any] = Future(loop=self)
        future.sequence = self.next_sequence()
        return future

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
        eager_start: bool | None = None,
    ) -> Task[T]:
        if self._prepared:
            prepared = self._prepared.pop(id(coro), None)
            if prepared is not None:
                return prepared
        caller = sys._getframe(1)
        if caller.f_code is ENSURE_FUTURE:
            self._prepare(awaitables_of_as_completed(caller))
            if self._prepared:
                prepared = self._prepared.pop(id(coro), None)
                if prepared is not None:
                    return prepared
        return self._new_task(coro, name, context, bool(eager_start))

    def _prepare(self, coros: list[Coroutine[Any, Any, Any]]) -> None:
        for coro in coros:
            self._prepared[id(coro)] = self._new_task(coro, None, None, False)

    def _new_task(self, coro: Any, name: object, context: Context | None, eager: bool) -> Task[Any]:
        if eager and not _TASKS_CAN_BE_EAGER:
            raise TypeError("create_task(eager_start=True) needs Python 3.12 or later")
        sequence = self.next_sequence()
        number = self._next_name()  # counts named tasks too: 3.11 names a task only after it was made
        task = _KINDS[eager](
            # Calling an activity gives a future at once; `create_task(charge(order))` must work as for any coroutine.
            _result_of(coro) if _is_future(coro) else coro,
            loop=self,
            name=f"Task-{number}" if name is None else str(name),
            context=copy_context() if context is None else context,
            sequence=sequence,
        )
        if not task.done():
            self._live[sequence] = task
            task.add_done_callback(self._forget, context=self._context)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._live.pop(hash(task), None)

    def get_task_factory(self) -> None:
        return None

    # -- asyncio: asynchronous generators -----------------------------------------------------------------------------

    def _note_asyncgen(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._asyncgens.add(generator)

    def _asyncgen_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._asyncgens.discard(generator)
        if self._running and not self.disposing and not collecting():
            self.call_soon(self.create_task, generator.aclose())
        else:
            # The garbage collector's choice of a moment: its `finally` must not run as part of the workflow. Kept alive.
            self._abandoned.append(generator)

    async def shutdown_asyncgens(self) -> None:
        return None

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        return None

    # -- asyncio: state and errors ------------------------------------------------------------------------------------

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Dispose of the loop. Raises `RuntimeError` while it runs, as asyncio does."""
        if self._running:
            raise RuntimeError("Cannot close a running event loop")
        self.dispose()

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Does nothing: debug mode measures time and keeps tracebacks of each future."""

    def get_exception_handler(self) -> ExceptionHandler | None:
        return self._exception_handler

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_unhandled(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.disposing:
            return
        if self._exception_handler is not None:
            self._exception_handler(self, context)
        else:
            self._on_unhandled(context)

    def __repr__(self) -> str:
        return f"<DeterministicLoop ready={len(self._ready)} tasks={len(self._live)} running={self._running}>"
