"""Threads for activities that are plain functions."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class ThreadPool:
    """Up to `size` threads, started when needed. They are daemons: a function that never returns does not keep the process.

    `concurrent.futures` was not taken, because it joins its threads when the interpreter ends: a worker that was told to
    stop hard would hang on the one activity that made it necessary.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call` in a thread; it must not raise. Never blocks: with all threads busy, it waits for its turn."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._calls.put(call)

    def close(self) -> None:
        """Let the threads end once their calls return. Does not wait for them."""
        with self._lock:
            for _ in range(self._threads):
                self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # nothing of the last activity is kept alive while the thread waits
            with self._lock:
                self._idle += 1
