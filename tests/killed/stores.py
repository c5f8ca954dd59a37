"""What stands between the simulated processes and the store: it waits for threads, is cut or kills at a call, and is opened anew."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from durable.errors import StoreUnavailableError
from durable.stores import Store, open_store
from durable.stores.memory import MemoryStore, State
from durable.testing.simulation._clock import SimulatedClock
from durable.testing.simulation._loop import _PROCESS, Process, SimulationLoop

KILLED = ("killed before", "killed after")
CUT_OFF = ("cut off before", "cut off after")  # the caller does not learn the outcome
FATES = KILLED + CUT_OFF
ANSWER_S_MAX = 30.0  # real: a thread that does not answer within is stuck
AWAITED = frozenset(name for name, method in vars(Store).items() if inspect.iscoroutinefunction(method))
PARTITIONS = 2  # so that children, and what is sent to other runs, cross from one to the other


class AnsweredLoop(SimulationLoop, asyncio.SelectorEventLoop):
    """Virtual time with threads and sockets: while an answer of a store is under way no time passes, and the loop waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.counters: list[Counted] = []

    def kill(self, process: Process) -> None:
        """See `SimulationLoop`. What the process has open is closed, as its system does it."""
        super().kill(process)
        for key in list(self._selector.get_map().values()):
            if any(handle is not None and handle._context.get(_PROCESS) is process for handle in key.data):
                self._selector.unregister(key.fileobj)
                if (transport := self._transports.get(key.fd)) is not None:  # there is none while it connects
                    transport._sock.close()
                    transport._sock, transport._closing = None, True

    def _write_to_self(self) -> None:
        asyncio.SelectorEventLoop._write_to_self(self)

    def _process_events(self, event_list: Any) -> None:
        asyncio.SelectorEventLoop._process_events(self, event_list)

    def _pass_time(self) -> None:
        under_way = sum(counter.under_way for counter in self.counters if counter.process.alive)
        if heard := self._selector.select(ANSWER_S_MAX if under_way else 0):
            self._process_events(heard)
        elif under_way:
            raise RuntimeError(f"{under_way} calls of a store got no answer in {ANSWER_S_MAX} s")
        else:
            super()._pass_time()


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


def is_server(url: str) -> bool:
    """Return whether the store is a process of its own."""
    return not url.startswith(("memory:", "sqlite:"))


class Place:
    """Where the runs are. Processes share one handle on it, which is opened anew after a death, or have one each: on a server."""

    def __init__(self, loop: AnsweredLoop, url: str) -> None:
        self._url, self._is_server = url, is_server(url)
        self._clock = SimulatedClock(loop, Random(0))
        self._state = State(PARTITIONS)
        self._shared: Store | None = None
        self._calls = Counted(loop.world, lambda: None)
        loop.counters.append(self._calls)

    async def handle(self) -> Callable[[], Store]:
        """Return what gives the calling process the handle that it is to use now."""
        if self._is_server:
            own = await self._calls.counting("open", self._opened)()
            return lambda: own
        if self._shared is None:
            await self.open_anew()
        return self._current

    async def open_anew(self) -> None:
        """Open a shared handle again, as the next process does. The one that there was does what it was told, and closes."""
        if self._is_server:
            return
        before, self._shared = self._shared, await self._calls.counting("open", self._opened)()
        if before is not None:
            await self._calls.counting("close", before.close)()

    async def close(self) -> None:
        """Let go of a shared handle."""
        if self._shared is not None:
            await self._calls.counting("close", self._shared.close)()

    def _current(self) -> Store:
        assert self._shared is not None
        return self._shared

    async def _opened(self) -> Store:
        if self._url == "memory:":
            return MemoryStore(self._state, self._clock, self._url)
        return await open_store(self._url, clock=self._clock, partitions=PARTITIONS)
