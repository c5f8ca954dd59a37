"""A step that never ends is reported with its stack and broken off, and nothing else ever is."""

import asyncio
import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from durable._clock import cpu_clock_of_this_thread
from durable._engine._watchdog import StepInterrupt, Watchdog
from durable._runtime.loop import DeterministicLoop
from durable.errors import BlockedStepError


class Bench:
    """A watchdog on a hand-wound clock, polled by the step itself."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.reports: list[tuple[str, str]] = []
        self.dog = Watchdog(
            limit_s=2.0, clock=lambda: self.cpu_s, on_blocked=lambda label, stack: self.reports.append((label, stack))
        )
        self.dog.attach()

    def compute(self, seconds: float) -> None:
        self.dog.poll()
        self.cpu_s += seconds
        self.dog.poll()


def spin_for_ever() -> None:
    while True:
        pass


def test_a_blocked_step_is_reported_once_with_its_label_and_stack(caplog: pytest.LogCaptureFixture) -> None:
    """At the limit it is named in the log, with the seconds and the place where it hangs; the step itself goes on."""
    bench = Bench()

    def step() -> str:
        bench.compute(2.5)
        bench.compute(0.5)
        return "done"

    with caplog.at_level(logging.ERROR, "durable.engine"):
        assert bench.dog.run("order-42", step) == "done"
    assert bench.dog.blocked == 1
    assert len(bench.reports) == len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "workflow order-42" in message
    assert "2.5 s of CPU time" in message
    assert "bench.compute(2.5)" in message
    stack = message.partition("It is now at:\n")[2]
    assert stack.splitlines()[0].endswith("in step")  # nothing above the code of the step: it would hide where it hangs
    assert bench.reports[0][0] == "order-42"


def test_a_step_past_twice_the_limit_is_broken_off() -> None:
    """`run` raises `BlockedStepError`, and the next step is as good as any."""
    bench = Bench()

    def step() -> None:
        bench.compute(4.0)
        spin_for_ever()

    with pytest.raises(BlockedStepError, match=r"order-42 used more than 4 s of CPU time without an await"):
        bench.dog.run("order-42", step)
    assert bench.dog.run("order-43", lambda: "fine") == "fine"
    assert bench.dog.blocked == 1


def test_begin_and_end_do_the_same_as_run() -> None:
    """The interrupt turns into the error at `end`, and a second `end` is harmless."""
    bench = Bench()

    def bracketed() -> None:
        bench.dog.begin("order-42")
        try:
            bench.compute(4.0)
            spin_for_ever()
        finally:
            bench.dog.end()

    with pytest.raises(BlockedStepError):
        bracketed()
    bench.dog.end()


def test_code_that_swallows_the_interrupt_is_blamed_all_the_same() -> None:
    """Even a bare `except` that goes on to return normally does not make the step a good one."""
    bench = Bench()

    def step() -> str:
        try:
            bench.compute(4.0)
            spin_for_ever()
        except BaseException:
            return "nothing happened"
        return "unreachable"

    with pytest.raises(BlockedStepError):
        bench.dog.run("order-42", step)


def test_code_that_swallows_one_interrupt_gets_another() -> None:
    """It is broken off again after the limit has passed once more, until it ends."""
    bench, swallowed = Bench(), []

    def step() -> None:
        for seconds in (4.0, 2.0):
            try:
                bench.compute(seconds)
                spin_for_ever()
            except StepInterrupt as interrupt:
                swallowed.append(interrupt)

    with pytest.raises(BlockedStepError):
        bench.dog.run("order-42", step)
    assert len(swallowed) == 2


def test_many_short_steps_are_not_one_long_step() -> None:
    """The time of a step begins with the step."""
    bench = Bench()
    for n in range(50):
        bench.dog.run(f"order-{n}", lambda: bench.compute(1.9))
    assert bench.dog.blocked == 0
    bench.cpu_s += 100
    bench.dog.poll()  # nothing runs
    assert bench.dog.blocked == 0


def test_an_error_of_the_step_is_its_own() -> None:
    """What the step raises comes out as it is."""
    bench = Bench()

    def step() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        bench.dog.run("order-42", step)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watchdog]]:
    started: list[Watchdog] = []

    def start(**options: object) -> Watchdog:
        dog = Watchdog(**options)  # type: ignore[arg-type]
        dog.start()
        dog.start()  # the second does nothing
        started.append(dog)
        return dog

    yield start
    for dog in started:
        dog.stop()
        dog.stop()


def test_an_endless_workflow_is_broken_off_and_the_loop_outside_goes_on(watch: Callable[..., Watchdog]) -> None:
    """A real thread, real CPU time: the workflow's task cannot catch it, and the outer loop is put back in its place."""

    async def worker() -> str:
        outer, task = asyncio.get_running_loop(), asyncio.current_task()
        dog = watch(limit_s=0.05, poll_s=0.01)
        loop = DeterministicLoop(start_timer=lambda d, f: 0, cancel_timer=lambda t: None, on_unhandled=lambda c: None)

        async def workflow() -> None:
            while True:
                try:
                    spin_for_ever()
                except Exception:
                    continue

        loop.create_task(workflow())
        with pytest.raises(BlockedStepError, match="order-42"):
            dog.run("order-42", loop.run_until_quiescent)
        loop.dispose()
        assert asyncio.get_running_loop() is outer
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        return "alive"

    assert asyncio.run(worker()) == "alive"


@pytest.mark.skipif(cpu_clock_of_this_thread() is None, reason="this platform does not tell a thread's CPU time")
def test_a_step_that_waits_is_not_blamed(watch: Callable[..., Watchdog]) -> None:
    """It is judged by the CPU time that it used, however often the watchdog looks at it meanwhile."""
    read = cpu_clock_of_this_thread()
    assert read is not None
    looked = threading.Semaphore(0)

    def counting() -> float:
        looked.release()
        return read()

    dog = watch(limit_s=0.05, poll_s=0.002, clock=counting)

    def step() -> None:
        for _ in range(50):  # at least 0.1 s by the wall clock
            looked.acquire()

    dog.run("order-42", step)
    assert dog.blocked == 0


def test_an_interrupt_never_lands_outside_of_its_step() -> None:
    """Thousands of steps end while they are shot at: each returns, or raises `BlockedStepError`; nothing else is hit."""
    hours = itertools.count(step=100)
    dog = Watchdog(limit_s=1.0, clock=lambda: float(next(hours)))
    dog.attach()
    over = threading.Event()

    def shoot() -> None:
        logging.getLogger("durable.engine").disabled = True
        while not over.is_set():
            dog.poll()

    hunter = threading.Thread(target=shoot)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the threads take turns within a step, not once in a hundred
    hunter.start()
    outcomes = {"returned": 0, "broken off": 0}
    try:
        for n in range(3000):
            try:
                dog.run(f"order-{n}", lambda n=n: sum(range(n % 400)) and [None for _ in range(2000)])
                outcomes["returned"] += 1
            except BlockedStepError:
                outcomes["broken off"] += 1
    finally:
        over.set()
        hunter.join()
        sys.setswitchinterval(interval)
        logging.getLogger("durable.engine").disabled = False
    assert sum(outcomes.values()) == 3000
    assert all(outcomes.values()), outcomes


def test_a_watchdog_outlives_nothing() -> None:
    """When the watched thread ends without `stop`, the watchdog's thread ends too."""
    made: list[Watchdog] = []

    def watched() -> None:
        dog = Watchdog(poll_s=0.001)
        dog.start()
        dog.begin("order-42")
        made.append(dog)

    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    watching = made[0]._thread
    assert watching is not None
    if cpu_clock_of_this_thread() is not None:
        watching.join(10)
        assert not watching.is_alive()
    made[0].stop()


AFTERWARDS = """
import faulthandler, sys, threading
from durable._engine._watchdog import Watchdog
from durable.errors import BlockedStepError

faulthandler.dump_traceback_later(30, exit=True)
watchdog = Watchdog(limit_s=0.02, poll_s=0.005)
watchdog.start()

def endless():
    while True:
        pass

for _ in range(3):
    try:
        watchdog.run("w-1", endless)
    except BlockedStepError:
        print("broken off")
watchdog.stop()

def plain():
    return "called"

sys.settrace(lambda *_: None)  # what a debugger, coverage and Hypothesis do
print(plain())
"""


def test_nothing_is_left_pending_in_the_interpreter() -> None:
    """A tracer that comes later works: on 3.11 an interrupt that was taken back, not raised, made the next call hang."""
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[-2:] == ["called", ""], done.stderr
