"""The loop as the runtime drives it: timers, nesting in another loop, identity of tasks, context, errors."""

import asyncio
import contextvars
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

from durable._runtime._refusals import ALLOWED
from durable._runtime.loop import DeterministicLoop
from durable.errors import NonDeterminismError


class Driver:
    """The runtime's side of a loop: keeps its timers, and what it reports."""

    def __init__(self) -> None:
        self.timers: dict[int, tuple[float, Callable[[], None]]] = {}
        self.cancelled: list[int] = []
        self.unhandled: list[dict[str, Any]] = []
        self.loop = DeterministicLoop(
            start_timer=self.start, cancel_timer=self.cancelled.append, on_unhandled=self.unhandled.append, now=100.0
        )

    def start(self, delay: float, fire: Callable[[], None]) -> int:
        token = len(self.timers) + 1
        self.timers[token] = (delay, fire)
        return token

    def run(self, coro: Any) -> Any:
        task = self.loop.create_task(coro)
        self.loop.run_until_quiescent()
        return task


@pytest.fixture
def driver() -> Any:
    made = Driver()
    yield made
    made.loop.dispose()


def test_a_sleep_is_a_timer_of_the_runtime(driver: Driver) -> None:
    """The delay arrives as it was asked for, and the sleeper goes on once the timer fires, at the time that is set then."""

    async def sleeper() -> float:
        await asyncio.sleep(30)
        return asyncio.get_running_loop().time()

    task = driver.run(sleeper())
    [(delay, fire)] = driver.timers.values()
    assert delay == 30
    assert not task.done()
    driver.loop.now = 130.5
    fire()
    driver.loop.run_until_quiescent()
    assert task.result() == 130.5
    fire()
    driver.loop.run_until_quiescent()
    assert driver.cancelled == []


@pytest.mark.parametrize("now", [0.0, 100.0, 1_760_000_000.123, 4_000_000_000.7])
@pytest.mark.parametrize("seconds", [0.001, 30, 3600.5, 86_400 * 365])
def test_a_deadline_is_exact_to_the_microsecond(driver: Driver, now: float, seconds: float) -> None:
    """`asyncio.timeout` adds the time and the loop takes it off again: no error of a float is left to round up."""
    driver.loop.now = now

    async def main() -> None:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()

    driver.run(main())
    assert [delay for delay, _ in driver.timers.values()] == [seconds]


def test_a_cancelled_timer_is_cancelled_once(driver: Driver) -> None:
    """However often the handle is; and firing it afterwards does nothing."""
    ran: list[int] = []
    handle = driver.loop.call_later(5, ran.append, 1)
    assert handle.when() == 105.0
    handle.cancel()
    handle.cancel()
    assert handle.cancelled()
    driver.timers[1][1]()
    driver.loop.run_until_quiescent()
    assert (driver.cancelled, ran) == ([1], [])


def test_a_timer_that_fired_is_not_cancelled_any_more(driver: Driver) -> None:
    """Between firing and running, a cancellation keeps the callback from running and tells the runtime nothing."""
    ran: list[int] = []
    handle = driver.loop.call_later(5, ran.append, 1)
    driver.timers[1][1]()
    handle.cancel()
    driver.loop.run_until_quiescent()
    assert (driver.cancelled, ran) == ([], [])


def test_what_is_due_at_once_is_no_timer(driver: Driver) -> None:
    """Delays of 0 and less, and times gone by, run in this step; an endless delay never does, and records nothing."""
    ran: list[str] = []
    driver.loop.call_later(0, ran.append, "0")
    driver.loop.call_later(-1, ran.append, "-1")
    driver.loop.call_at(99, ran.append, "past")
    driver.loop.call_later(math.inf, ran.append, "never").cancel()
    driver.loop.run_until_quiescent()
    assert ran == ["0", "-1", "past"]
    assert driver.timers == {}
    for bad in (math.nan, None):
        with pytest.raises(ValueError, match="expected a delay"):
            driver.loop.call_later(bad, print)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="expected a time"):
            driver.loop.call_at(bad, print)  # type: ignore[arg-type]


def test_it_runs_inside_a_task_of_another_loop(driver: Driver) -> None:
    """Inside, its own task and loop are the current ones; afterwards the outer ones are, and the asyncgen hooks."""

    async def inner() -> tuple[Any, ...]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        return task, loop, asyncio.all_tasks(), loop.is_running()

    async def outer() -> None:
        me, loop, hooks = asyncio.current_task(), asyncio.get_running_loop(), sys.get_asyncgen_hooks()
        task = driver.run(inner())
        assert task.result() == (task, driver.loop, {task}, True)
        assert asyncio.current_task() is me
        assert asyncio.get_running_loop() is loop
        assert sys.get_asyncgen_hooks() == hooks
        assert not driver.loop.is_running()
        await asyncio.sleep(0)
        assert asyncio.current_task() is me

    asyncio.run(outer())


def test_an_interrupt_leaves_the_outer_loop_in_its_place(driver: Driver) -> None:
    """`KeyboardInterrupt` goes through the workflow's tasks to the driver, which can go on with other work."""

    async def inner() -> None:
        raise KeyboardInterrupt

    async def outer() -> None:
        me = asyncio.current_task()
        with pytest.raises(KeyboardInterrupt):
            driver.run(inner())
        assert asyncio.current_task() is me
        await asyncio.sleep(0)

    asyncio.run(outer())


def test_it_cannot_be_entered_twice(driver: Driver) -> None:
    """A step within the step of the same run is a bug of the driver."""

    async def inner() -> None:
        with pytest.raises(RuntimeError, match="running already"):
            driver.loop.run_until_quiescent()
        with pytest.raises(RuntimeError, match="Cannot close"):
            driver.loop.close()

    assert driver.run(inner()).exception() is None


def test_tasks_are_named_and_numbered_by_their_loop() -> None:
    """Names count per loop, and the hash of a future or task is its number: equal in any two executions of one run."""

    async def main() -> tuple[list[str], list[int]]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(asyncio.sleep(0), name="mine")]
        gathering = asyncio.gather(*tasks)
        future = loop.create_future()
        await gathering
        third = loop.create_task(asyncio.sleep(0))
        await third
        names = [asyncio.current_task().get_name(), *(t.get_name() for t in tasks), third.get_name()]  # type: ignore[union-attr]
        return names, [hash(t) for t in (*tasks, future, gathering, third)]

    first, second = Driver().run(main()).result(), Driver().run(main()).result()
    assert first == second
    assert first[0] == ["Task-1", "Task-2", "mine", "Task-4"]
    assert len(set(first[1])) == 5


def test_as_completed_makes_its_tasks_in_the_order_of_the_list(driver: Driver) -> None:
    """asyncio itself makes them in the order of a set of coroutines, by address."""
    order: list[int] = []

    async def one(n: int) -> int:
        order.append(n)
        return n

    async def main() -> list[int]:
        coros = [one(n) for n in range(40)]
        coros.append(coros[3])
        mixed = [*coros, asyncio.create_task(one(40))]
        return [await done for done in asyncio.as_completed(mixed)]

    # the task was made before the call
    assert driver.run(main()).result() == [40, *range(40)] == order


LOSSY: list[Callable[..., Any]] = [set, frozenset]
if sys.version_info >= (3, 12):  # before, asyncio itself refuses a generator
    LOSSY.append(lambda coros: (coro for coro in coros))


@pytest.mark.parametrize("lossy", LOSSY)
def test_as_completed_of_coroutines_without_an_order_is_refused(driver: Driver, lossy: Callable[..., Any]) -> None:
    """The error says to pass a list; tasks may come in any form, since they have a number."""

    async def one() -> int:
        return 1

    async def main() -> int:
        coros = [one(), one()]
        with pytest.raises(NonDeterminismError, match="pass a list"):
            for done in asyncio.as_completed(lossy(coros)):
                await done
        for coro in coros:
            coro.close()
        return sum([await done for done in asyncio.as_completed(lossy([asyncio.create_task(one()) for _ in "ab"]))])

    assert driver.run(main()).result() == 2


def test_context_variables_behave_as_in_asyncio(driver: Driver) -> None:
    """A task copies the context of its maker; one that is handed a context runs in it; callbacks too."""
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")
    seen: list[str] = []

    async def child() -> str:
        value = var.get()
        var.set("changed by child")
        return value

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        var.set("main")
        given = contextvars.copy_context()
        results = [await asyncio.create_task(child()), await asyncio.create_task(child(), context=given)]
        loop.call_soon(lambda: seen.append(var.get()))
        loop.call_soon(lambda: seen.append(var.get()), context=given)
        await asyncio.sleep(0)
        return [*results, var.get(), given[var]]

    assert driver.run(main()).result() == ["main", "main", "main", "changed by child"]
    assert seen == ["main", "changed by child"]
    assert var.get() == "unset"


def test_unhandled_errors_reach_the_runtime(driver: Driver) -> None:
    """A callback's exception, and a task's that nobody asked for; a handler of the workflow's own comes first."""

    def fails() -> None:
        raise ValueError("in a callback")

    async def lost() -> None:
        raise LookupError("in a task")

    driver.loop.call_soon(fails)
    driver.loop.create_task(lost())
    driver.loop.run_until_quiescent()
    assert [type(c["exception"]) for c in driver.unhandled] == [ValueError, LookupError]
    mine: list[Any] = []
    driver.loop.set_exception_handler(lambda loop, context: mine.append((loop, context["exception"])))
    driver.loop.call_soon(fails)
    driver.loop.run_until_quiescent()
    assert mine[0][0] is driver.loop
    assert len(driver.unhandled) == 2
    assert driver.loop.get_exception_handler() is not None


def test_live_tasks_are_kept_alive_until_they_are_done(driver: Driver) -> None:
    """asyncio holds tasks weakly; here a task that nobody refers to is not lost to the garbage collector."""
    import gc

    ended: list[str] = []

    async def forgotten() -> None:
        await asyncio.sleep(5)
        ended.append("ended")

    async def main() -> None:
        asyncio.get_running_loop().create_task(forgotten())

    driver.run(main())
    assert [t.get_name() for t in driver.loop.live_tasks] == ["Task-2"]
    gc.collect()
    driver.timers[1][1]()
    driver.loop.run_until_quiescent()
    assert ended == ["ended"]
    assert driver.loop.live_tasks == ()


def test_an_eager_task_starts_at_once_or_is_refused(driver: Driver) -> None:
    """From Python 3.12 on, as `asyncio.Task(eager_start=True)`; before, a clear error."""
    seen: list[str] = []

    async def eager() -> None:
        task = asyncio.current_task()
        assert task is not None
        seen.append(f"{task.get_name()} {task in {task}}")  # noqa: FURB171
        await asyncio.sleep(0)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        coro = eager()
        if sys.version_info < (3, 12):
            with pytest.raises(TypeError, match=r"needs Python 3\.12"):
                loop.create_task(coro, eager_start=True)  # noqa: RUF006
            coro.close()
            return
        task = loop.create_task(coro, eager_start=True)
        assert seen == ["Task-2 True"]
        await task

    assert driver.run(main()).exception() is None


REFUSALS: dict[str, tuple[Callable[[], Any], str]] = {
    "to_thread": (lambda: asyncio.to_thread(print), "make it an activity"),
    "executor": (lambda: asyncio.get_running_loop().run_in_executor(None, print), "make it an activity"),
    "threadsafe": (lambda: asyncio.get_running_loop().call_soon_threadsafe(print), "signal or an update"),
    "connection": (lambda: asyncio.open_connection("localhost", 1), "move it into an activity"),
    "server": (lambda: asyncio.start_server(print, "localhost", 1), "move it into an activity"),
    "exec": (lambda: asyncio.create_subprocess_exec("true"), "start the process in an activity"),
    "shell": (lambda: asyncio.create_subprocess_shell("true"), "start the process in an activity"),
    "reader": (lambda: asyncio.get_running_loop().add_reader(0, print), "move it into an activity"),
    "signals": (lambda: asyncio.get_running_loop().add_signal_handler(2, print), "let the worker handle them"),
    "getaddrinfo": (lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1), "move it into an activity"),
    "factory": (lambda: asyncio.get_running_loop().set_task_factory(None), "numbered by its loop"),
    "complete": (lambda: asyncio.get_running_loop().run_until_complete(None), "await instead"),  # type: ignore[arg-type]
    "forever": (lambda: asyncio.get_running_loop().run_forever(), "await instead"),
    "stop": (lambda: asyncio.get_running_loop().stop(), "stops by itself"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_replayed_is_refused_with_advice(driver: Driver, name: str) -> None:
    """`NonDeterminismError`, naming the method and what to do instead."""
    call, advice = REFUSALS[name]

    async def main() -> None:
        result = call()
        if result is not None:
            await result

    error = driver.run(main()).exception()
    assert isinstance(error, NonDeterminismError)
    assert advice in str(error)
    assert "loop." in str(error)


def test_every_method_of_a_loop_is_either_ours_or_refused(driver: Driver) -> None:
    """Nothing of `AbstractEventLoop` is left to raise a bare `NotImplementedError`, whatever this Python has."""
    for name in dir(asyncio.AbstractEventLoop):
        if name.startswith("_"):
            continue
        if name in ALLOWED:
            assert getattr(DeterministicLoop, name) is not getattr(asyncio.AbstractEventLoop, name), name
        else:
            with pytest.raises(NonDeterminismError, match=name):
                getattr(driver.loop, name)()


ORDER_PROGRAM = """
import asyncio
from durable._runtime.loop import DeterministicLoop

trace = []

async def work(n):
    for _ in range(n % 3):
        await asyncio.sleep(0)
    trace.append(n)
    if n == 5:
        raise ValueError
    return n

async def main():
    pairs = {asyncio.gather(work(n), work(n + 1), return_exceptions=True) for n in range(10, 40, 2)}
    done, _ = await asyncio.wait(pairs)
    trace.append([d.result() for d in done])
    done, _ = await asyncio.wait({asyncio.create_task(work(n)) for n in range(100, 130)})
    trace.append([d.result() for d in done])
    trace.append([await d for d in asyncio.as_completed([work(n) for n in range(200, 230)])])
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(9):
                group.create_task(work(n))
    except* ValueError:
        trace.append("group failed")
    trace.append(sorted(t.get_name() for t in asyncio.all_tasks()))
    keep = [object() for _ in range(len(str(hash("a"))))]

loop = DeterministicLoop(start_timer=lambda d, f: 1, cancel_timer=lambda t: None, on_unhandled=print)
loop.create_task(main())
loop.run_until_quiescent()
print(trace)
"""


def test_order_is_the_same_under_every_hash_seed() -> None:
    """Sets of futures, tasks, gatherings and coroutines: processes with other seeds and address layouts agree."""
    import os
    import subprocess

    traces = set()
    for seed in ("0", "1", "42", "4711"):
        ballast = f"ballast = [object() for _ in range({int(seed) * 7})]\n"  # moves the addresses
        done = subprocess.run(
            [sys.executable, "-c", ballast + ORDER_PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        traces.add(done.stdout)
    assert len(traces) == 1
    assert "group failed" in traces.pop()
