"""Activities for child processes, which import this module by its name."""

import asyncio
import os
import signal
import time
from pathlib import Path

from durable import activity, activity_info, complete_later, heartbeat


class Odd(Exception):
    """Declared by `halve`."""


@activity(cpu_bound=True, raises=[Odd])
def halve(number: int) -> int:
    if number % 2:
        raise Odd(f"{number} is odd")
    return number // 2


@activity(cpu_bound=True)
def pid_of_child() -> int:
    return os.getpid()


@activity(cpu_bound=True)
def vanish(marker: Path) -> str:
    """Die at the first attempt, as under the out-of-memory killer."""
    if activity_info().attempt == 1:
        marker.write_text("been here")
        os.kill(os.getpid(), signal.SIGKILL)
    return f"attempt {activity_info().attempt}"


@activity(cpu_bound=True, timeout="200 ms")
def hang(marker: Path) -> int:
    """Never return at the first attempt that gets as far, without ever looking up; return the pid of the child at the next."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        while True:
            time.sleep(3600)  # a SIGKILL ends it
    return os.getpid()


@activity(cpu_bound=True)
def count_up(marker: Path) -> list[int | None]:
    """Say how far it got, fail, and return what the second attempt read."""
    info = activity_info()
    if info.attempt == 1:
        for number in range(100):
            heartbeat(number)
        raise ValueError("lost count")
    return [info.details(int)]


@activity(cpu_bound=True)
def until_cancelled(folder: Path) -> None:
    """Beat until it is told to stop, and leave a note of that."""
    (folder / "started").write_text(str(os.getpid()))
    try:
        while True:
            heartbeat()
            time.sleep(0.005)  # computes, so to speak
    except asyncio.CancelledError:
        (folder / "cancelled").write_text("yes")
        raise


@activity(cpu_bound=True)
def note_delivery(folder: Path) -> None:
    """Leave a note of which delivery this is."""
    (folder / str(os.getpid())).write_text(str(activity_info().delivery))


@activity(cpu_bound=True)
def defer_in_process(file: Path) -> str:
    """Leave its end to others, and its token in a file."""
    file.write_text(activity_info().token)
    return complete_later()
