"""Dropping an execution is silent, complete and without effect, whatever its code was in the middle of."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from durable._runtime.loop import DeterministicLoop

PROGRAM = """
import asyncio, gc, sys, warnings
from durable._runtime.loop import DeterministicLoop

warnings.simplefilter("always")
effects = []

def start_timer(delay, fire):
    assert not loop.disposing
    return 1

def cancel_timer(token):
    assert not loop.disposing

loop = DeterministicLoop(
    start_timer=start_timer, cancel_timer=cancel_timer, on_unhandled=lambda context: print("UNHANDLED", context)
)

async def stubborn():
    try:
        await asyncio.sleep(9)
    finally:
        try:
            await asyncio.sleep(1)
        finally:
            asyncio.create_task(asyncio.sleep(5), name="late")
            async with asyncio.timeout(3):
                await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
            effects.append("unreachable")

async def raises():
    try:
        await loop.create_future()
    finally:
        raise SystemExit("from a finally")

async def numbers():
    try:
        for n in range(9):
            yield n
            await asyncio.sleep(1)
    finally:
        await asyncio.sleep(1)
        effects.append("unreachable")

async def grouped():
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        group.create_task(stubborn())
        group.create_task(asyncio.wait_for(asyncio.sleep(9), 5))
        async for n in numbers():
            await asyncio.shield(asyncio.sleep(9))

async def holds():
    unstarted, listed = asyncio.sleep(1), [asyncio.sleep(2)]
    both = (asyncio.sleep(3), await deeper())
    await unstarted, listed, both

async def deeper():
    kept = {"key": asyncio.sleep(4)}
    await asyncio.Event().wait()
    await kept["key"]

async def locked(lock=asyncio.Lock(), queue=asyncio.Queue()):
    async with lock:
        await queue.get()

async def failed():
    raise ValueError("nobody asks")

async def broken_generator():
    generator = numbers()
    await anext(generator)
    kept.append(generator)

kept, tasks = [], []

async def main():
    for make in (stubborn, raises, grouped, holds, locked, locked, broken_generator):
        tasks.append(asyncio.create_task(make()))
    tasks.append(asyncio.create_task(failed()))
    await asyncio.wait(tasks)

tasks.append(loop.create_task(main()))
tasks.append(loop.create_task(stubborn()))

async def outer():
    me = asyncio.current_task()
    loop.run_until_quiescent()
    tasks.append(loop.create_task(main()))  # never started
    loop.dispose()
    loop.dispose()
    assert asyncio.current_task() is me
    assert loop.disposing and loop.is_closed() and not loop.live_tasks
    await asyncio.sleep(0)

asyncio.run(outer())
assert effects == [], effects
kept.clear()
tasks.clear()
gc.collect()
del loop
gc.collect()
print("over")
"""


def test_an_execution_is_dropped_without_a_sound() -> None:
    """No line on stdout or stderr, no warning: pending tasks, cleanup that awaits, starts or raises, generators, locks."""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", PROGRAM], capture_output=True, text=True, env=_env())
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _loop(unhandled: list[Any] | None = None) -> DeterministicLoop:
    return DeterministicLoop(
        start_timer=lambda delay, fire: 1,
        cancel_timer=lambda token: None,
        on_unhandled=(unhandled if unhandled is not None else []).append,
    )


def test_cleanup_runs_in_its_own_world() -> None:
    """In a `finally` the current loop, task and context are the workflow's, and `disposing` tells the runtime so."""
    import contextvars

    var: contextvars.ContextVar[str] = contextvars.ContextVar("var")
    seen: list[object] = []
    loop = _loop()

    async def main() -> None:
        var.set("inside")
        try:
            await loop.create_future()
        finally:
            running: Any = asyncio.get_running_loop()
            seen.append((running is loop, asyncio.current_task() is task, var.get(), running.disposing))

    task = loop.create_task(main())
    loop.run_until_quiescent()
    loop.dispose()
    assert seen == [(True, True, "inside", True)]


def test_tasks_are_closed_oldest_first() -> None:
    """In the order of their creation, so that cleanup has one order as well."""
    order: list[int] = []
    loop = _loop()

    async def one(n: int) -> None:
        try:
            await loop.create_future()
        finally:
            order.append(n)

    for n in range(20):
        loop.create_task(one(n))
    loop.run_until_quiescent()
    loop.dispose()
    assert order == list(range(20))


def test_what_comes_too_late_is_ignored() -> None:
    """A future resolved after the end wakes nobody; running the loop is refused; `close` is `dispose`."""
    loop = _loop()
    future = loop.create_future()
    ran: list[object] = []

    async def main() -> None:
        ran.append(await future)

    loop.create_task(main())
    loop.run_until_quiescent()
    loop.close()
    if not future.done():
        future.set_result(1)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_until_quiescent()
    assert ran == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_code_that_refuses_to_end_does_not_hang_the_worker() -> None:
    """A coroutine that swallows `GeneratorExit` for ever is given up."""
    loop = _loop()
    tries: list[int] = []

    async def immortal() -> None:
        while len(tries) < 1000:
            try:
                await loop.create_future()
            except BaseException:
                tries.append(1)

    task = loop.create_task(immortal())
    loop.run_until_quiescent()
    loop.dispose()
    assert 10 < len(tries) < 1000
    tries.extend([1] * 1000)
    task.get_coro().close()  # type: ignore[union-attr]


def test_disposing_from_inside_a_step_does_not_raise() -> None:
    """A bug of the driver, but one that must not take the worker down."""
    loop = _loop()

    async def main() -> str:
        loop.dispose()
        return "survived"

    task = loop.create_task(main())
    loop.run_until_quiescent()
    assert task.result() == "survived"


def _numbers(loop: DeterministicLoop, ended: list[str]) -> Any:
    async def numbers() -> Any:
        try:
            for n in range(9):
                yield n
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    return numbers()


@pytest.mark.parametrize("in_cycle", [False, True])
def test_an_abandoned_generator_ends_at_a_fixed_moment_or_not_at_all(in_cycle: bool) -> None:
    """Dropped by the code it is closed in the same step, as in asyncio; by the garbage collector, whose moment no replay
    repeats, it is kept until the execution is dropped, and its cleanup has no effect."""
    ended: list[str] = []
    loop = _loop()

    class Holder:
        me: Any = None
        generator: Any = None

    async def main() -> None:
        holder = Holder()
        holder.generator = _numbers(loop, ended)
        holder.me = holder if in_cycle else None
        await anext(holder.generator)
        del holder
        gc.collect()
        await asyncio.sleep(0)

    async def outer() -> None:
        loop.create_task(main())
        loop.run_until_quiescent()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == ([] if in_cycle else ["ended"])
        loop.dispose()

    gc.collect()
    asyncio.run(outer())
    assert ended == ([] if in_cycle else ["ended"])


def test_nothing_is_reported_about_a_dropped_execution() -> None:
    """Failed tasks that nobody had asked about are not brought up any more."""
    unhandled: list[Any] = []
    loop = _loop(unhandled)
    kept: list[Callable[..., Any] | asyncio.Task[Any]] = []

    async def fails() -> None:
        raise ValueError

    kept.append(loop.create_task(fails()))
    loop.run_until_quiescent()
    loop.dispose()
    kept.clear()
    gc.collect()
    assert unhandled == []
