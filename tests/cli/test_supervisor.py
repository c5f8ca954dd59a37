"""`durable worker --processes N`: the dead are replaced, signals are handed on, and nobody is left behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable._clock import SystemClock
from durable.cli._supervisor import PAUSE_S_MAX, Supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals are those of POSIX")


class QuickClock(SystemClock):
    """A clock that notes how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        self.pauses.append(timeout_s or 0)
        return event.is_set()


def child(code: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-S", "-c", f"import os, signal, sys\n{code}"], {**os.environ, **environment}


# Counts its starts in a file. The first ones die; the last one tells the supervisor to stop, and waits to be told so too.
DIES_FIRST = """
with open(os.environ["STARTS"], "a") as file:
    file.write("x")
starts = os.path.getsize(os.environ["STARTS"])
if starts < int(os.environ["DEATHS"]) + 1:
    os.kill(os.getpid(), signal.SIGKILL)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait({signal.SIGTERM})
with open(os.environ["STARTS"], "a") as file:
    file.write("told")
"""


async def test_a_dead_process_is_replaced_with_a_growing_pause(tmp_path: Path) -> None:
    """A crash loop is slowed down; a signal ends it, and reaches the child that lives."""
    clock, starts = QuickClock(), tmp_path / "starts"
    supervisor = Supervisor(child(DIES_FIRST, STARTS=str(starts), DEATHS="3"), clock=clock)
    assert await supervisor.run(1) == 0
    assert starts.read_text() == "xxxxtold"
    assert clock.pauses == [0.5, 1.0, 2.0]
    assert max(clock.pauses) <= PAUSE_S_MAX


async def test_a_command_that_is_not_understood_is_not_repeated() -> None:
    """Exit code 2 means that it would be the same each time: all end, with that code."""
    clock = QuickClock()
    assert await Supervisor(child("sys.exit(2)"), clock=clock).run(2) == 2
    assert clock.pauses == []


async def test_ctrl_c_reaches_each_child_once() -> None:
    """A child is not in the terminal's group: a second signal would mean "stop at once"."""
    supervisor = Supervisor(
        child("os.kill(os.getppid(), signal.SIGTERM); sys.exit(os.getpgid(0) != os.getpid())"), clock=QuickClock()
    )
    lines: list[str] = []
    supervisor._say = lines.append
    await supervisor.run(1)
    assert lines == []


def test_a_worker_stops_when_its_supervisor_dies() -> None:
    """Even after SIGKILL: the pipe closes, and the worker gets the signal that it would have been sent."""
    code = (
        "import os, signal, sys; from durable.cli._worker import _stop_with_parent; "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
        "_stop_with_parent(int(sys.argv[1])); print('ready', flush=True); signal.sigwait({signal.SIGTERM}); print('stopping')"
    )
    alive_read, alive_write = os.pipe()
    root = Path(__file__).parent.parent.parent
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(alive_read)],
        pass_fds=(alive_read,),
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    with worker:
        assert worker.stdout is not None
        os.close(alive_read)
        assert worker.stdout.readline() == "ready\n"
        os.close(alive_write)
        assert worker.stdout.read() == "stopping\n"
    assert worker.returncode == 0
