"""The event loop of a simulation: virtual time, simulated processes that can be killed or frozen, and an order that the seed decides."""

from __future__ import annotations

import asyncio
import gc
from asyncio import events
from asyncio.events import _set_running_loop
from collections import deque
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop
from random import Random
from typing import Any, TypeVar, cast

from ..._runtime._disposal import dispose_tasks
from ..._runtime._futures import Future, Task
from ..._runtime.loop import DeterministicLoop

T = TypeVar("T")

_NEVER = 10**9
TURNS_MAX = 200_000  # callbacks without time passing: by then something spins


class HotLoopError(RuntimeError):
    """Something runs over and over while no time passes."""


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set: what the simulation waits for cannot happen."""


class Process:
    """A simulated process: the tasks that were started in it, and those that they start.

    `alive` is False once it was killed: none of its code runs any more. Until `frozen_until` none runs either, but what
    becomes ready waits. `fuse` kills it after so many more callbacks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self.fuse: int | None = None
        self.ready: deque[tuple[int, events.Handle]] = deque()
        self.tasks: dict[int, Task[Any]] = {}
        self.tasks_swept = 0


_PROCESS: ContextVar[Process | None] = ContextVar("durable_simulated_process", default=None)


def current_process() -> Process | None:
    """Return the simulated process whose code is running, or None."""
    return _PROCESS.get()


class SimulationLoop(asyncio.BaseEventLoop):
    """Runs simulated processes in virtual time: when nothing is ready, the time of the next timer has come.

    Each process is an event loop of its own to its code: its callbacks run in the order in which they became ready. Whose
    turn is next is first come, first served, or (`chance`) drawn anew for each callback. Nothing here blocks or reads a clock.
    """

    def __init__(self, chance: Random | None = None) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.turns = 0
        self.on_burnt: Any = None
        self._chance = chance
        self._virtual_s = 0.0
        self._arrived = 0
        self._idle_turns = 0
        self._sequence = 0
        self.world = self.new_process("world")

    def new_process(self, name: str) -> Process:
        """Return a new process, in which nothing runs yet."""
        process = Process(name)
        self.processes.append(process)
        return process

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` as a task of `process`."""
        context = Context()
        context.run(_PROCESS.set, process)
        return self.create_task(work, context=context)

    def kill(self, process: Process) -> None:
        """End `process` as SIGKILL does: nothing of it runs any more, not even a `finally`."""
        process.alive = False
        process.ready.clear()

    def dispose(self) -> None:
        """Close what is left of all coroutines, without effect; the loop is closed afterwards."""
        self._dispose_runs()
        _set_running_loop(self)
        try:
            for process in self.processes:
                process.alive = False
                process.ready.clear()
                process.tasks = {number: task for number, task in process.tasks.items() if not task.done()}
                process.tasks_swept = _NEVER  # what their `finally` blocks start is disposed of as well
                dispose_tasks(self, process.tasks)
        finally:
            _set_running_loop(None)
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()

    def _dispose_runs(self) -> None:
        """Drop the workflow code that killed processes have in memory: nobody else will, and the garbage collector is loud."""
        if all(process.alive for process in self.processes):
            return
        ours = set(map(id, self.processes))
        for found in gc.get_objects():
            if isinstance(found, DeterministicLoop):
                process: Process | None = found._context.run(_PROCESS.get)
                if id(process) in ours:
                    found.dispose()

    # -- asyncio ------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual_s

    def create_future(self) -> Future[Any]:
        """Return a future that hashes by number, so that sets of them iterate alike in every run."""
        future: Future[Any] = Future(loop=self)
        self._sequence += 1
        future.sequence = self._sequence
        return future

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None, **_options: Any) -> Task[Any]:
        """Start a task in the calling process, whatever its context is."""
        if context is None:
            context = copy_context()
        process = context.get(_PROCESS) or current_process()
        if process is None:
            process = self.world
        if context.get(_PROCESS) is None:
            context.run(_PROCESS.set, process)
        self._sequence += 1
        number = self._sequence
        task: Task[Any] = Task(coro, loop=self, name=name or f"Task-{number}", context=context, sequence=number)
        process.tasks[number] = task
        if len(process.tasks) > 2 * process.tasks_swept + 64:  # asyncio refers to tasks weakly: these are kept
            process.tasks = {number: task for number, task in process.tasks.items() if not task.done()}
            process.tasks_swept = len(process.tasks)
        return task

    def _write_to_self(self) -> None:
        """Nothing sleeps in a selector."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _run_once(self) -> None:
        """Run one callback: of the process whose turn it is."""
        self._collect()
        process = self._next_process()
        if process is None:
            self._pass_time()
            return
        self._idle_turns += 1
        self.turns += 1
        if self._idle_turns > TURNS_MAX:
            raise HotLoopError(f"{TURNS_MAX} callbacks ran while no time passed, the last ones in {process.name}")
        _, handle = process.ready.popleft()
        if handle.cancelled():
            return
        handle._run()
        if process.fuse is not None:
            process.fuse -= 1
            if process.fuse <= 0:
                process.fuse = None
                if process.alive:
                    self.on_burnt(process)

    def _collect(self) -> None:
        """Hand what has become ready to its processes."""
        scheduled: list[Any] = cast(Any, self)._scheduled
        ready: deque[Any] = cast(Any, self)._ready
        while scheduled and (scheduled[0]._when <= self._virtual_s or scheduled[0]._cancelled):
            timer = heappop(scheduled)
            timer._scheduled = False
            if not timer.cancelled():
                ready.append(timer)
        self._timer_cancelled_count = 0
        while ready:
            handle = ready.popleft()
            process = handle._context.get(_PROCESS) or self.world
            if process.alive:
                self._arrived += 1
                process.ready.append((self._arrived, handle))

    def _next_process(self) -> Process | None:
        now = self._virtual_s
        able = [process for process in self.processes if process.ready and process.frozen_until <= now]
        if not able:
            return None
        if self._chance is None or len(able) == 1:
            return min(able, key=_head)
        return able[int(self._chance.random() * len(able))]

    def _pass_time(self) -> None:
        if self._stopping:  # type: ignore[attr-defined]
            return
        scheduled: list[Any] = cast(Any, self)._scheduled
        times = [scheduled[0]._when] if scheduled else []
        times += [process.frozen_until for process in self.processes if process.ready]
        if not times:
            raise DeadlockError("nothing is ready and no timer is set")
        self._virtual_s = max(self._virtual_s, min(times))
        self._idle_turns = 0


def _head(process: Process) -> int:
    return process.ready[0][0]
