"""The loop gives the same order as asyncio: random programs run on both, and their traces are compared.

The reference is asyncio's own `SelectorEventLoop`, its scheduler untouched. Two things are handed to it: a selector for
which waiting means to move the clock on (so that timers need no time), and our futures and tasks (so that sets of them
iterate alike; asyncio's hash by address, and so have no order to compare with).
"""

import asyncio
import contextvars
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable._runtime._futures import Future, Task, number_gatherings
from durable._runtime.loop import DeterministicLoop

Trace = list[tuple[object, ...]]
Main = Callable[[Trace], Coroutine[Any, Any, None]]


class _JumpingSelector(selectors.BaseSelector):
    """Waits by moving the loop's clock."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 1000.0
        self.next_due: Callable[[], float] = lambda: self.now

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise TimeoutError("the program waits for ever")
        if timeout > 0:
            self.now = self.next_due()  # asyncio asks for a day at most; here it may wait longer at once
        return []

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Any:
        return self._inner.get_map()


class _TimerInTurn(asyncio.TimerHandle):
    """Of two timers for the same moment the first made goes first, as with a real clock, which moves between them."""

    turns = itertools.count()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.turn = next(self.turns)

    def __lt__(self, other: Any) -> bool:
        return (self._when, self.turn) < (other._when, other.turn)


class ReferenceLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on a virtual clock, with numbered futures and tasks."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._jumping.next_due = lambda: self._scheduled[0].when()  # type: ignore[attr-defined]
        self._clock_resolution = 2.0**-7  # half of the shortest delay, and still a step of a float at the longest
        number_gatherings()
        self.next_sequence = itertools.count(1).__next__
        self._next_name = itertools.count(1).__next__

    def time(self) -> float:
        return self._jumping.now

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        timer = _TimerInTurn(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def create_future(self) -> Future[Any]:
        future: Future[Any] = Future(loop=self)
        future.sequence = self.next_sequence()
        return future

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None, **_: Any) -> Task[Any]:
        return Task(
            coro,
            loop=self,
            name=name or f"Task-{self._next_name()}",
            context=context or contextvars.copy_context(),
            sequence=self.next_sequence(),
        )


def on_asyncio(main: Main) -> Trace:
    trace: Trace = []
    loop = ReferenceLoop()
    try:
        task = loop.create_task(main(trace))
        try:
            loop.run_until_complete(task)
        except TimeoutError:
            trace.append(("waits for ever",))
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False
            task.get_coro().close()
        loop.close()
    return trace


class Timers:
    """The runtime's part: fires timers in the order in which they are due, one at a time."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.cancelled: set[int] = set()
        self._next = itertools.count(1).__next__
        self.loop = DeterministicLoop(
            start_timer=self.start, cancel_timer=self.cancel, on_unhandled=lambda context: None, now=1000.0
        )

    def start(self, delay: float, fire: Callable[[], None]) -> int:
        token = self._next()
        heapq.heappush(self.heap, (self.loop.now + delay, token, fire))
        return token

    def cancel(self, token: int) -> None:
        assert token not in self.cancelled
        self.cancelled.add(token)

    def run(self) -> None:
        self.loop.run_until_quiescent()
        while self.heap:
            due, token, fire = heapq.heappop(self.heap)
            if token not in self.cancelled:
                self.loop.now = due
                fire()
                self.loop.run_until_quiescent()


def on_ours(main: Main) -> Trace:
    trace: Trace = []
    timers = Timers()
    task = timers.loop.create_task(main(trace))
    timers.run()
    if not task.done():
        trace.append(("waits for ever",))
    size = len(trace)
    timers.loop.dispose()
    del trace[size:]
    return trace


# -- random programs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Do:
    """One statement of a program: what to do, a small number, and the programs inside."""

    what: str
    n: int = 0
    inside: tuple["Program", ...] = ()


Program = tuple[Do, ...]
SIMPLE = [
    "yield", "yield", "nap", "log", "set", "wait_future", "event_set", "event_wait", "put", "get", "lock", "semaphore",
    "notify", "condition", "soon", "later0", "barrier", "raise", "cancel_self", "agen",
]  # fmt: skip
NESTED = [
    "task", "task_cancelled", "gather", "gather_return", "wait_first", "wait_all", "wait_0", "as_completed", "group",
    "timeout", "timeout_0", "wait_for", "shield", "finally", "catch",
]  # fmt: skip

_simple = st.builds(Do, st.sampled_from(SIMPLE), st.integers(0, 3))


def _nested(children: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    nested = st.builds(
        Do, st.sampled_from(NESTED), st.integers(0, 3), st.lists(children, min_size=1, max_size=3).map(tuple)
    )
    return st.lists(_simple | nested, min_size=1, max_size=4).map(tuple)


programs = st.recursive(st.lists(_simple, min_size=1, max_size=4).map(tuple), _nested, max_leaves=25)


class Machine:
    """Interprets a program with plain asyncio, and writes down what happens and when."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.loop = asyncio.get_running_loop()
        self.events = [asyncio.Event() for _ in range(4)]
        self.locks = [asyncio.Lock() for _ in range(4)]
        self.semaphores = [asyncio.Semaphore(1 + n % 2) for n in range(4)]
        self.queues: list[asyncio.Queue[object]] = [asyncio.Queue(maxsize=2) for _ in range(4)]
        self.conditions = [asyncio.Condition() for _ in range(4)]
        self.barrier_ = asyncio.Barrier(2)
        self.futures = [self.loop.create_future() for _ in range(4)]
        self.tasks: list[asyncio.Task[object]] = []
        # Different powers of two: their sums are exact in floats, and no two timers are due at the same moment. (With
        # ties asyncio runs both callbacks before what follows from the first; a history has one event at a time.)
        self.delays = itertools.cycle(2.0 ** (n * 17 % 47 - 6) for n in range(1, 47))

    def note(self, *what: object) -> None:
        task = asyncio.current_task()
        self.trace.append((task.get_name() if task else None, self.loop.time(), *what))

    async def run(self, program: Program, path: str) -> str:
        for index, do in enumerate(program):
            here = f"{path}.{index}{do.what}"
            self.note(">", here)
            try:
                result = await getattr(self, do.what)(do.n, do.inside, here)
            except BaseException as error:
                self.note("!", here, type(error).__name__)
                raise
            self.note("<", here, result)
        return path

    def coros(self, inside: tuple[Program, ...], here: str) -> list[Coroutine[Any, Any, str]]:
        return [self.run(program, f"{here}/{i}") for i, program in enumerate(inside)]

    def spawn(self, inside: tuple[Program, ...], here: str) -> list[asyncio.Task[Any]]:
        spawned = [asyncio.create_task(coro) for coro in self.coros(inside, here)]
        self.tasks += spawned
        return spawned

    async def _bounded(self, awaitable: Any) -> object:
        async with asyncio.timeout(next(self.delays)):
            return await awaitable

    async def log(self, n: int, inside: object, here: str) -> None:
        self.note("log")

    def __getattr__(self, name: str) -> Any:
        return {"yield": self._yield, "raise": self._raise, "finally": self._finally, "set": self._set}[name]

    async def _yield(self, n: int, inside: object, here: str) -> None:
        for _ in range(n + 1):
            await asyncio.sleep(0)

    async def _raise(self, n: int, inside: object, here: str) -> None:
        raise (ValueError, KeyError, LookupError, asyncio.CancelledError)[n]

    async def _finally(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        try:
            await self.run(inside[0], here)
        finally:
            await asyncio.sleep(0)
            self.note("cleaned", here)

    async def _set(self, n: int, inside: object, here: str) -> None:
        if not self.futures[n].done():
            self.futures[n].set_result(n)
        self.futures[n] = self.loop.create_future()

    async def nap(self, n: int, inside: object, here: str) -> None:
        await asyncio.sleep(next(self.delays))

    async def wait_future(self, n: int, inside: object, here: str) -> object:
        return await self._bounded(asyncio.shield(self.futures[n]))

    async def event_set(self, n: int, inside: object, here: str) -> None:
        self.events[n].set()
        self.events[n].clear()

    async def event_wait(self, n: int, inside: object, here: str) -> object:
        return await self._bounded(self.events[n].wait())

    async def put(self, n: int, inside: object, here: str) -> None:
        await self._bounded(self.queues[n].put(here))

    async def get(self, n: int, inside: object, here: str) -> object:
        return await self._bounded(self.queues[n].get())

    async def lock(self, n: int, inside: object, here: str) -> None:
        async with self.locks[n]:
            self.note("locked", n)
            await asyncio.sleep(0)

    async def semaphore(self, n: int, inside: object, here: str) -> None:
        async with self.semaphores[n]:
            await asyncio.sleep(0)

    async def notify(self, n: int, inside: object, here: str) -> None:
        async with self.conditions[n]:
            self.conditions[n].notify(2)

    async def condition(self, n: int, inside: object, here: str) -> None:
        async with self.conditions[n]:
            await self._bounded(self.conditions[n].wait())

    async def barrier(self, n: int, inside: object, here: str) -> object:
        return await self._bounded(self.barrier_.wait())

    async def soon(self, n: int, inside: object, here: str) -> None:
        handle = self.loop.call_soon(self.note, "soon", here)
        if n == 3:
            handle.cancel()

    async def later0(self, n: int, inside: object, here: str) -> None:
        self.loop.call_later(0, self.note, "later", here)
        self.loop.call_soon(self.note, "sooner", here)

    async def cancel_self(self, n: int, inside: object, here: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel(f"by {here}")
        if n == 0:
            task.uncancel()

    async def agen(self, n: int, inside: object, here: str) -> None:
        async def numbers() -> Any:
            try:
                for i in range(3):
                    await asyncio.sleep(0)
                    yield i
            finally:
                await asyncio.sleep(0)
                self.note("generator closed", here)

        async for i in numbers():
            self.note("generated", i)
            if i == n:
                break

    async def task(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        self.spawn(inside, here)

    async def task_cancelled(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        spawned = self.spawn(inside, here)
        await self._yield(n, None, here)
        for task in {*spawned, *self.tasks[:n]}:
            task.cancel()

    async def gather(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await asyncio.gather(*self.coros(inside, here))

    async def gather_return(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        results = await asyncio.gather(*self.coros(inside, here), return_exceptions=True)
        return [type(r).__name__ if isinstance(r, BaseException) else r for r in results]

    async def _wait(self, inside: tuple[Program, ...], here: str, **options: Any) -> object:
        done, pending = await asyncio.wait(set(self.spawn(inside, here)), **options)
        for task in pending:
            task.cancel()
        return [t.get_name() for t in done], [t.get_name() for t in pending]

    async def wait_first(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await self._wait(inside, here, return_when=asyncio.FIRST_COMPLETED)

    async def wait_all(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await self._wait(inside, here, timeout=next(self.delays))

    async def wait_0(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await self._wait(inside, here, timeout=0)

    async def as_completed(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        # Of tasks: given coroutines, asyncio makes them in the order of their addresses, and there is nothing to compare.
        for done in asyncio.as_completed(self.spawn(inside, here)):
            self.note("done", await done)

    async def group(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        async with asyncio.TaskGroup() as group:
            for coro in self.coros(inside, here):
                group.create_task(coro)

    async def timeout(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        async with asyncio.timeout(next(self.delays)):
            await self.run(inside[0], here)

    async def timeout_0(self, n: int, inside: tuple[Program, ...], here: str) -> None:
        async with asyncio.timeout(0):
            await self.run(inside[0], here)

    async def wait_for(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await asyncio.wait_for(self.run(inside[0], here), next(self.delays) if n else 0)

    async def shield(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        return await asyncio.shield(self.run(inside[0], here))

    async def catch(self, n: int, inside: tuple[Program, ...], here: str) -> object:
        try:
            return await self.run(inside[0], here)
        except (Exception, asyncio.CancelledError) as error:
            return type(error).__name__


def interpreter_of(program: Program) -> Main:
    async def main(trace: Trace) -> None:
        machine = Machine(trace)
        try:
            await machine.run(program, "")
        except (Exception, asyncio.CancelledError) as error:
            machine.note("ended by", type(error).__name__)
        end = machine.loop.time() + 2.0**42
        while machine.loop.time() < end:
            try:
                await asyncio.sleep(end - machine.loop.time())
            except asyncio.CancelledError:
                machine.note("cancelled at the end")
        for task in machine.tasks:
            machine.note(task.get_name(), task.done(), task.done() and task.cancelled())
            if task.done() and not task.cancelled():
                task.exception()

    return main


@given(programs)
@settings(max_examples=300)
def test_order_is_that_of_asyncio(program: Program) -> None:
    """A program without I/O leaves the same trace (task, time and step) on asyncio's loop and on ours."""
    assert on_ours(interpreter_of(program)) == on_asyncio(interpreter_of(program))


@pytest.mark.parametrize("what", sorted({*SIMPLE, *NESTED}))
@pytest.mark.parametrize("n", range(4))
def test_each_statement_in_company_keeps_its_order(what: str, n: int) -> None:
    """Three of a kind side by side, so that no statement is left to chance."""
    inside = ((Do("yield", 1), Do("log")), (Do("yield"), Do("set", n)), (Do("nap"),))
    one = (Do("catch", n, ((Do(what, n, inside if what in NESTED else ()),),)),)
    program = (Do("gather", 0, (one, one, (Do("yield", 3), Do("event_set", n), Do("set", n), Do("notify", n)))),)
    ours = on_ours(interpreter_of(program))
    assert ours == on_asyncio(interpreter_of(program))
    assert any(str(entry[-1]).startswith("Task") or entry[2] == "<" for entry in ours)
