"""Keeps a number of worker processes alive: restarts the dead with a growing pause, hands signals on, and ends with them."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Callable

import click

from .._clock import Clock, SystemClock
from ._exit import OK, USAGE

PAUSE_S_MIN, PAUSE_S_MAX = (
    0.5,
    30.0,
)  # between restarts; doubled each time, so that a crash loop does not eat the machine
STEADY_S = 60.0  # a process that lived this long was healthy: its next restart is quick again
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Worker processes of one command.

    Each child is in a process group of its own, so that Ctrl-C in a terminal reaches it once, through us: a child takes
    a second signal for "stop at once".
    """

    def __init__(
        self, command: tuple[list[str], dict[str, str]], *, clock: Clock, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._arguments, self._environment = command
        self._clock, self._say = clock, say
        self._children: dict[int, Process] = {}
        self._stopping = asyncio.Event()
        self._exit_code = OK
        self._alive_read, self._alive_write = os.pipe()  # the write end closes with us, however we die

    async def run(self, processes: int) -> int:
        """Keep `processes` children alive until a signal comes; return the exit code. Every child has ended by then.

        A child that does not understand its command is not restarted: all stop, and its exit code is returned.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop, number)
        try:
            async with asyncio.TaskGroup() as group:
                for slot in range(processes):
                    group.create_task(self._keep(slot))
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            os.close(self._alive_read)
            os.close(self._alive_write)
        return self._exit_code

    def stop(self, number: int) -> None:
        """Hand the signal on to every child, and restart none of them any more."""
        self._stopping.set()
        for child in self._children.values():
            if child.returncode is None:
                child.send_signal(number)

    async def _keep(self, slot: int) -> None:
        """Keep one child alive."""
        pause = PAUSE_S_MIN
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            code = await self._run_child(slot)
            if self._stopping.is_set():
                return
            if code == USAGE:
                self._exit_code = USAGE
                self.stop(signal.SIGTERM)
                return
            if self._clock.monotonic() - began >= STEADY_S:
                pause = PAUSE_S_MIN
            self._say(f"a worker process ended with {_shown(code)}; the next one starts in {pause:g} s")
            await self._clock.wait(self._stopping, pause)
            pause = min(pause * 2, PAUSE_S_MAX)

    async def _run_child(self, slot: int) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._arguments,
            "--parent-fd",
            str(self._alive_read),
            env=self._environment,
            pass_fds=(self._alive_read,),
            process_group=0,
        )
        self._children[slot] = child
        if self._stopping.is_set():  # the signal came while the child was being made
            child.send_signal(signal.SIGTERM)
        return await child.wait()


async def supervise(command: tuple[list[str], dict[str, str]], processes: int) -> int:
    """Run `processes` children of `command` (arguments and environment) until SIGTERM or SIGINT; return the exit code."""
    supervisor = Supervisor(command, clock=SystemClock(), say=lambda text: click.echo(f"durable: {text}", err=True))
    return await supervisor.run(processes)


def _shown(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
