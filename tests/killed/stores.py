"""What stands between the simulated processes and the store: it waits for threads, is cut or kills at a call, and is opened anew."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from durable.errors import StoreUnavailableError
from durable.stores import Store, open_store
from durable.stores.memory import MemoryStore, State
from durable.testing.simulation._clock import SimulatedClock
from durable.testing.simulation._loop import Process, SimulationLoop

KILLED = ("killed before", "killed after")
CUT_OFF = ("cut off before", "cut off after")  # the caller does not learn the outcome
FATES = KILLED + CUT_OFF
ANSWER_S_MAX = 30.0  # real: a thread that does not answer within is stuck
AWAITED = frozenset(name for name, method in vars(Store).items() if inspect.iscoroutinefunction(method))
PARTITIONS = 2  # so that children, and what is sent to other runs, cross from one to the other


class AnsweredLoop(SimulationLoop):
    """Virtual time with stores that work in threads: while an answer is under way no time passes, and the loop waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.counters: list[Counted] = []
        self._woken = threading.Event()

    def _write_to_self(self) -> None:
        self._woken.set()

    def _pass_time(self) -> None:
        under_way = sum(counter.under_way for counter in self.counters if counter.process.alive)
        if not under_way:
            super()._pass_time()
            return
        if not self._woken.wait(ANSWER_S_MAX):
            raise RuntimeError(f"{under_way} calls of a store got no answer in {ANSWER_S_MAX} s")
        self._woken.clear()


class Counted:
    """Passes on to the store that `current` gives, and counts the awaited calls of a process that are under way."""

    def __init__(self, process: Process, current: Callable[[], Any]) -> None:
        self.process, self._current = process, current
        self.under_way = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._current(), name)
        if name == "inspect":
            return _Part(self, found)
        return self.counting(name, found) if name in AWAITED else found

    def counting(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return `method`, whose calls are counted while they are under way."""

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.under_way += 1
            try:
                return await self.made(name, lambda: method(*args, **kwargs))
            finally:
                self.under_way -= 1

        return call

    async def made(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call."""
        return await call()


class _Part:
    """The `inspect` of a counted store."""

    def __init__(self, whole: Counted, found: Any) -> None:
        self._whole, self._found = whole, found

    def __getattr__(self, name: str) -> Any:
        return self._whole.counting(name, getattr(self._found, name))


class Doomed(Counted):
    """The store of a worker. `fate` says what befalls it at each call: one of `FATES`, or "" (nothing)."""

    def __init__(
        self,
        process: Process,
        current: Callable[[], Any],
        fate: Callable[[str], str],
        die: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(process, current)
        self._fate, self._die = fate, die

    async def made(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call, if it comes to that."""
        fate = self._fate(name)
        if fate == "killed before":
            await self._die()
        if fate == "cut off before":
            raise StoreUnavailableError(f"cut off before {name}")
        result = await call()
        if fate == "killed after":
            await self._die()
        if fate == "cut off after":
            raise StoreUnavailableError(f"cut off after {name}")
        return result


class Place:
    """Where the runs are: `store` is the one handle on it that all processes use, until it is opened anew."""

    def __init__(self, loop: AnsweredLoop, file: Path | None) -> None:
        self._clock = SimulatedClock(loop, Random(0))
        self._url = f"sqlite:///{file}?synchronous=normal" if file else ""
        self._state = State(PARTITIONS)
        self._store: Store | None = None
        self._calls = Counted(loop.world, lambda: None)
        loop.counters.append(self._calls)

    @property
    def store(self) -> Store:
        """The handle."""
        assert self._store is not None
        return self._store

    async def open(self) -> None:
        """Open it, again if it was open: as the next process does. The handle that there was does what it was told, and closes."""
        before, self._store = self._store, await self._calls.counting("open", self._opened)()
        if before is not None:
            await self._calls.counting("close", before.close)()

    async def close(self) -> None:
        """Let go of it."""
        await self._calls.counting("close", self.store.close)()

    async def _opened(self) -> Store:
        if not self._url:
            return MemoryStore(self._state, self._clock, "memory:")
        return await open_store(self._url, clock=self._clock, partitions=PARTITIONS)
