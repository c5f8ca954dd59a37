"""Processes for CPU-bound activities.

`concurrent.futures.ProcessPoolExecutor` was not taken: it cannot say which child runs what, and the death of one child
(or killing the one whose time is up) breaks the whole pool with all that the others are doing.
"""

from __future__ import annotations

import atexit
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Protocol

from ..codec import Codec
from ._child import Beat, Cancel, Done, Order, Ready, Unreadable, serve

_EXIT_S_MAX = 5.0  # an exit that takes longer than this is one that hangs: the child is killed


class JobEvents(Protocol):
    """Who hears how a job goes. Called in the child's own thread here, never in the event loop."""

    def may_begin(self) -> bool: ...
    def begun(self) -> None: ...
    def beat(self, said: bytes | None) -> None: ...
    def done(self, message: Done | Unreadable) -> None: ...
    def died(self, exitcode: int | None) -> None: ...


class Job:
    """An order that a child works on, or is about to."""

    def __init__(self, order: Order, events: JobEvents) -> None:
        self.order, self.events = order, events
        self.cancelled = False
        self.killed = False
        self.child: _ChildProcess | None = None

    def cancel(self) -> None:
        """Tell the code: its next `heartbeat` raises. Thread-safe; never blocks."""
        self.cancelled = True
        if self.child is not None:
            self.child.tell(Cancel(self.order.number))

    def kill(self) -> None:
        """End the child process at once; another one takes its place when there is work. Thread-safe."""
        self.killed = True
        if self.child is not None:
            self.child.kill()


class ProcessPool:
    """Child processes, started when needed, each running one job at a time; how many, the caller bounds by its slots.

    They are spawned, never forked: a fork copies the locks of threads that do not exist in the child. So the program's
    main module is imported in the child, and must guard what starts it by `if __name__ == "__main__"`.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._lock = threading.Lock()
        self._idle: list[_ChildProcess] = []
        self._all: set[_ChildProcess] = set()
        self._numbers = 0
        self._closed = False
        # The children ignore SIGTERM, by which `multiprocessing` would end them at the exit of a program that did not close us.
        self._at_exit = partial(self.close, kill=True)
        atexit.register(self._at_exit)

    def next_number(self) -> int:
        """Return a number for an order, unique in this pool."""
        self._numbers += 1
        return self._numbers

    def run(self, job: Job) -> None:
        """Run `job` in an idle child, or in a new one. Never blocks."""
        with self._lock:
            child = self._idle.pop() if self._idle else None
            if child is None:
                child = _ChildProcess(self._codec, self._freed, self._gone)
                self._all.add(child)
        child.take(job)

    def close(self, *, kill: bool = False) -> None:
        """End the children: idle ones at once, busy ones with their job, or now if `kill`. Does not wait."""
        atexit.unregister(self._at_exit)
        with self._lock:
            self._closed = True
            children, self._idle = list(self._all), []
        for child in children:
            if kill:
                child.kill()
            child.take(None)

    def _freed(self, child: _ChildProcess) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(child)

    def _gone(self, child: _ChildProcess) -> None:
        with self._lock:
            self._all.discard(child)
            if child in self._idle:
                self._idle.remove(child)


class _ChildProcess:
    """A child and the thread that talks to it: starting, writing and reading would all block the event loop."""

    def __init__(
        self, codec: Codec, freed: Callable[[_ChildProcess], None], gone: Callable[[_ChildProcess], None]
    ) -> None:
        self._codec, self._freed, self._gone = codec, freed, gone
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._sending = threading.Lock()
        self._connection: Connection | None = None
        self._process: SpawnProcess | None = None
        self._killed = False
        threading.Thread(target=self._run, name="durable-child", daemon=True).start()

    def take(self, job: Job | None) -> None:
        """Run `job` next; None: end."""
        if job is not None:
            job.child = self
        self._jobs.put(job)

    def tell(self, message: Cancel) -> None:
        """Write `message`, unless an order is being written: then it is read from the job right after."""
        if self._sending.acquire(blocking=False):
            try:
                with suppress(OSError, ValueError):
                    if self._connection is not None:
                        self._connection.send(message)
            finally:
                self._sending.release()

    def kill(self) -> None:
        """End the process at once, or as soon as it has started."""
        self._killed = True
        process = self._process
        if process is not None:
            with suppress(ValueError):  # closed: it has ended
                process.kill()

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if not self._work(job):
                    return
                del job
                self._freed(self)
        finally:
            self._gone(self)
            self._end()

    def _work(self, job: Job) -> bool:
        """Run one job to its end; False if the child died of it."""
        try:
            connection = self._connected()
        except Exception as error:  # whatever keeps a process from starting must reach whoever waits
            job.events.done(Unreadable(job.order.number, self._start_problem(error)))
            return False
        if not job.events.may_begin():
            return True
        job.events.begun()
        try:
            with self._sending:
                connection.send(job.order)
            if job.killed:
                self.kill()
            elif job.cancelled:
                self.tell(Cancel(job.order.number))
            while True:
                message: Beat | Done | Unreadable = connection.recv()
                if message.number != job.order.number:
                    continue
                if isinstance(message, Beat):
                    job.events.beat(message.said)
                else:
                    job.events.done(message)
                    return True
        except (EOFError, OSError):
            self.kill()  # in case it only closed the pipe
            job.events.died(self._exitcode())
            return False

    def _connected(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, self._codec), name="durable-activities", daemon=True)
            process.start()
            theirs.close()  # so that its end is seen here when the child dies
            self._process = process
            if self._killed:
                self.kill()
            ready: Ready = self._connection.recv()
            assert isinstance(ready, Ready)
        return self._connection

    def _start_problem(self, error: Exception) -> str:
        if not isinstance(error, EOFError | OSError) or self._process is None:
            return f"no child process could be started: {type(error).__name__}: {error}"
        return (
            f"the child process ended with exit code {self._exitcode()} while it started (its own output says why); "
            'is what starts the program guarded by `if __name__ == "__main__"`?'
        )

    def _exitcode(self) -> int | None:
        if self._process is None:
            return None
        self._process.join(_EXIT_S_MAX)
        return self._process.exitcode

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()  # the child ends when it sees that
        if self._process is not None:
            self._process.join(_EXIT_S_MAX)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(_EXIT_S_MAX)
            self._process.close()
