"""Tests in virtual time: a whole test, workers and all, runs in the event loop of the simulation, in which nothing waits for real."""

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from durable._clock import Clock, SystemClock
from durable.testing.simulation._clock import SimulatedClock
from durable.testing.simulation._loop import SimulationLoop

P = ParamSpec("P")


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in a loop whose time is that of the next timer as soon as nothing else can run.

    It takes no real time, however long it waits, and fails at once where it would wait for ever. No threads, no processes.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        loop = SimulationLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
        finally:
            loop.dispose()

    return run


def clock_here() -> Clock:
    """Return a clock that tells the time of the running loop: virtual in such a test, else real."""
    loop = asyncio.get_running_loop()
    return SimulatedClock(loop, random.Random(0)) if isinstance(loop, SimulationLoop) else SystemClock()
