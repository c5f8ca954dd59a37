"""How an attempt runs: on the loop, in a thread, or in a process; and how each of these is stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Protocol

import msgspec

from .._log import ActivityEnded
from ..codec import Codec
from ._attempt import Attempt
from ._child import Done, Order, Unreadable
from ._intercepted import Heard, NotBegunError, Within
from ._outcome import failed, perform, returned
from ._plans import location
from ._processes import Job, ProcessPool
from ._threads import ThreadPool


class AttemptEvents(Protocol):
    """Who hears how an attempt goes; called in the event loop."""

    def may_begin(self, attempt: Attempt) -> bool:
        """Return whether its code may begin now: it was not told to stop, and its claim is not in doubt. Thread-safe."""
        ...

    def not_begun(self, attempt: Attempt) -> None:
        """Its code did not begin, because it may not."""
        ...

    def begun(self, attempt: Attempt) -> None:
        """Its code is about to run: time limits count from now."""
        ...

    def ended(self, attempt: Attempt, ended: ActivityEnded | None) -> None:
        """Its code has ended; None if that was because it was told to."""
        ...

    def unreadable(self, attempt: Attempt, error: Exception) -> None:
        """It could not begin, which is no fault of its code."""
        ...


class Modes:
    """Starts attempts and tells `events` how they end. `start` and `stop` belong to the event loop that made this."""

    def __init__(self, events: AttemptEvents, codec: Codec, *, threads: int) -> None:
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # Activities see the context variables of who started the worker, not those of whatever happened to start them.
        self._context: Context = copy_context()
        self._threads = ThreadPool(threads, "durable-activity")
        self._processes = ProcessPool(codec)
        self._within: set[asyncio.Task[None]] = set()  # interceptors around code in threads and processes

    def start(self, attempt: Attempt) -> None:
        """Run `attempt`. Never blocks."""
        mode = attempt.plan.mode
        if attempt.plan.execute is not None:
            self._start_within(attempt, Within(attempt, self))
        elif mode == "async":
            self._events.begun(attempt)
            attempt.coroutine_task = self._loop.create_task(self._run_async(attempt), context=self._context.copy())
        elif mode == "thread":
            self._events.begun(attempt)
            context = self._context.copy()
            self._threads.submit(lambda: context.run(self._run_in_thread, attempt))
        else:
            self._start_job(attempt, _Relay(self, attempt))

    def _start_job(self, attempt: Attempt, relay: _Relay) -> None:
        module, name = location(attempt.plan.activity)
        previous = None if attempt.previous is None else bytes(attempt.previous)
        order = Order(
            self._processes.next_number(), module, name, attempt.plan.queue, attempt.task, attempt.claimed,
            attempt.started_ms, previous,
        )  # fmt: skip
        attempt.job = Job(order, relay)
        self._processes.run(attempt.job)

    def _start_within(self, attempt: Attempt, within: Within) -> None:
        """Run `attempt` with its interceptors, which are on the loop. Only code that is there too is stopped by a cancellation."""
        if attempt.plan.mode != "process":  # a process tells when it is ready
            self._events.begun(attempt)
        task = self._loop.create_task(self._run_async(attempt, within), context=self._context.copy())
        if attempt.plan.mode == "async":
            attempt.coroutine_task = task
        else:
            self._within.add(task)
            task.add_done_callback(self._within.discard)

    def in_thread(self, work: Callable[[], None]) -> None:
        """See `Places`."""
        self._threads.submit(work)

    def in_process(self, attempt: Attempt, heard: Callable[[Heard], None]) -> None:
        """See `Places`."""
        self._start_job(attempt, _WithinRelay(self, attempt, heard))

    def stop(self, attempt: Attempt, *, now: bool = False) -> None:
        """Tell the code of `attempt` to stop; `now` kills its process. A thread cannot be made to: it is told, and left alone."""
        attempt.cancelled = True
        if attempt.coroutine_task is not None:
            if attempt.begun:  # else it is about to see that it may not begin; cancelled, it would not even look
                attempt.coroutine_task.cancel()
        elif attempt.job is not None:
            if now:
                attempt.job.kill()
            else:
                attempt.job.cancel()

    def close(self, *, kill: bool) -> None:
        """Let threads and processes end; `kill` ends processes that are busy as well."""
        for task in self._within:
            task.cancel()
        self._threads.close()
        self._processes.close(kill=kill)

    def call(self, function: partial[None]) -> None:
        """Have the loop call `function`; callable from any thread. After the loop has closed, nobody cares."""
        if threading.get_ident() == self._thread:
            function()
            return
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    async def _run_async(self, attempt: Attempt, within: Within | None = None) -> None:
        if not self._events.may_begin(attempt):
            self._events.not_begun(attempt)
            return
        attempt.begun = True
        attempt.enter()
        plan, task = attempt.plan, attempt.task
        try:
            args, kwargs = plan.arguments(task)
        except Exception as error:  # resolving hints runs the user's module code
            self._events.unreadable(attempt, error)
            return
        try:
            value = await (plan.fn(*args, **kwargs) if within is None else within.run(args, kwargs))
        except GeneratorExit:  # the loop is gone
            raise
        except asyncio.CancelledError as error:
            self._events.ended(attempt, _after_cancel(attempt, error))
        except NotBegunError as error:
            if error.reason:
                self._events.unreadable(attempt, RuntimeError(error.reason))
        except BaseException as error:  # whatever it raises is its outcome, `SystemExit` too
            same = None if within is None else within.same(error)
            self._events.ended(attempt, same or failed(plan, task, attempt, error))
            if isinstance(error, KeyboardInterrupt):
                raise
        else:
            same = None if within is None else within.same(value)
            self._events.ended(attempt, same or returned(plan, task, attempt, value))

    def _run_in_thread(self, attempt: Attempt) -> None:
        if not self._events.may_begin(attempt):
            self.call(partial(self._events.not_begun, attempt))
            return
        try:
            args, kwargs = attempt.plan.arguments(attempt.task)
        except Exception as error:  # as above
            self.call(partial(self._events.unreadable, attempt, error))
            return
        ended = perform(attempt.plan, attempt.task, attempt, args, kwargs)
        self.call(partial(self._events.ended, attempt, ended))

    def heard(self, attempt: Attempt, message: Done | Unreadable) -> None:
        """A child reports the end of `attempt`."""
        if isinstance(message, Done):
            self.call(partial(self._events.ended, attempt, message.ended))
        else:
            self.call(partial(self._events.unreadable, attempt, RuntimeError(message.reason)))

    def may_begin(self, attempt: Attempt) -> bool:
        """A child is ready for `attempt`: return whether it may begin. If not, nobody will hear of it again."""
        if self._events.may_begin(attempt):
            return True
        self.call(partial(self._events.not_begun, attempt))
        return False

    def begun(self, attempt: Attempt) -> None:
        """A child is about to run `attempt`."""
        self.call(partial(self._events.begun, attempt))

    def died(self, attempt: Attempt, exitcode: int | None) -> None:
        """The child that ran `attempt` is gone."""
        if attempt.cancelled:
            ended = None
        else:
            ended = failed(attempt.plan, attempt.task, attempt, _died(attempt, exitcode))
        self.call(partial(self._events.ended, attempt, ended))


class _Relay:
    """Hears a job's events in the child's thread here, and passes them on to the loop."""

    def __init__(self, modes: Modes, attempt: Attempt) -> None:
        self._modes, self._attempt = modes, attempt

    def may_begin(self) -> bool:
        return self._modes.may_begin(self._attempt)

    def begun(self) -> None:
        self._modes.begun(self._attempt)

    def beat(self, said: bytes | None) -> None:
        if said is not None:
            self._attempt.said = msgspec.Raw(said)
        self._attempt.beat()

    def done(self, message: Done | Unreadable) -> None:
        self._modes.heard(self._attempt, message)

    def died(self, exitcode: int | None) -> None:
        self._modes.died(self._attempt, exitcode)


class _WithinRelay(_Relay):
    """The same for a job within interceptors, which are told first."""

    def __init__(self, modes: Modes, attempt: Attempt, heard: Callable[[Heard], None]) -> None:
        super().__init__(modes, attempt)
        self._heard = heard

    def may_begin(self) -> bool:
        may = super().may_begin()
        if not may:
            self._modes.call(partial(self._heard, NotBegunError("")))
        return may

    def done(self, message: Done | Unreadable) -> None:
        heard = message if isinstance(message, Done) else NotBegunError(message.reason)
        self._modes.call(partial(self._heard, heard))

    def died(self, exitcode: int | None) -> None:
        error = asyncio.CancelledError() if self._attempt.cancelled else _died(self._attempt, exitcode)
        self._modes.call(partial(self._heard, error))


def _died(attempt: Attempt, exitcode: int | None) -> ChildProcessError:
    return ChildProcessError(f"the process that ran activity {attempt.plan.name!r} ended with exit code {exitcode}")


def _after_cancel(attempt: Attempt, error: asyncio.CancelledError) -> ActivityEnded | None:
    """Return how an async attempt ended that a `CancelledError` left."""
    if attempt.verdict in ("attempt", "heartbeat"):
        return timed_out(attempt)
    current = asyncio.current_task()
    told = current is not None and current.cancelling() > 0
    if attempt.verdict or told:  # by us; or by a stranger, such as `asyncio.run` at its end
        return None
    return failed(attempt.plan, attempt.task, attempt, error)


def timed_out(attempt: Attempt) -> ActivityEnded:
    """Return the outcome of an attempt whose time is up, by its verdict."""
    task, kind = attempt.task, attempt.verdict
    if kind == "heartbeat":
        text = f"no heartbeat within {(task.heartbeat_timeout_ms or 0) / 1000:g} s"
    else:
        text = f"no result within {(task.timeout_ms or 0) / 1000:g} s"
    return failed(attempt.plan, task, attempt, TimeoutError(text), timeout=kind)
