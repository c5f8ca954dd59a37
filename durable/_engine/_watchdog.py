"""Notices a step that computes and never ends, says where it hangs, and breaks it off, so that the other runs go on.

A step is pure computation, so it is judged by the CPU time of its thread, not by the wall clock: on an overloaded machine a
step may take long through no fault of its own. Where a thread's CPU time cannot be read (macOS, Windows), the wall clock
is used with `WALL_FACTOR` times the patience.

How a step is broken off: an exception is raised in its thread, from outside. It must not land after the step, so both sides
follow a protocol (`_shoot` and `end`): the watchdog raises its flag before it looks whether the step is still the same; the
step's end takes the step away before it looks at the flag. Whichever is second sees the other, and the end then waits for
the shot, and lets it arrive where it does no harm if it has not yet.
"""

import ctypes
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from .. import _limits
from .._clock import SystemClock, cpu_clock_of_this_thread
from ..errors import BlockedStepError

T = TypeVar("T")
OnBlocked = Callable[[str, str], None]

POLL_S = 0.25  # four looks a second cost nothing to speak of, and a step of 2 s is noticed before 2.5 s
WALL_FACTOR = 5  # a machine with five times the load that it can carry is still not blamed on the workflow
ARRIVAL_TURNS = 1_000  # one is enough in CPython; a few microseconds, once for each step that was broken off
INTERRUPT_FACTOR = 2  # the first limit only reports: the stack is in the log before the step is torn down

_ENGINE, _PACKAGE = str(Path(__file__).parent), str(Path(__file__).parents[1])

_log = logging.getLogger("durable.engine")


class StepInterrupt(KeyboardInterrupt):
    """Raised inside a blocked step. Below `KeyboardInterrupt`, so that `except Exception` in workflow code does not eat it
    and asyncio's tasks pass it on; it never leaves `Watchdog.run` or `Watchdog.end`, which raise `BlockedStepError`."""


class Watchdog:
    """Watches the steps of one thread: the one that calls `start`, `begin` and `end`.

    `on_blocked(label, stack)` is called in the watchdog's thread, once for each blocked step; `blocked` counts them.
    """

    def __init__(
        self,
        *,
        limit_s: float = _limits.STEP_CPU_S_MAX,
        poll_s: float = POLL_S,
        on_blocked: OnBlocked | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.blocked = 0
        self._limit_s, self._poll_s, self._on_blocked, self._given_clock = limit_s, poll_s, on_blocked, clock
        self._clock = clock
        self._unit, self._patience = "CPU time", 1
        # Written by the watched thread, for every step; read by the watchdog. `_number` tells one step from the next.
        self._label: str | None = None
        self._number = 0
        # Written by the watchdog, about a step that it has seen at least once before.
        self._shot = ""  # why the present step was broken off
        self._seen, self._seen_at, self._reported, self._next_shot_s = 0, 0.0, False, 0.0
        self._shooting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched = 0

    # -- the watched thread -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the calling thread. Does nothing if it does so already."""
        if self._thread is not None:
            return
        self.attach()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name="durable-watchdog", daemon=True)
        self._thread.start()

    def attach(self) -> None:
        """Make the calling thread the watched one. `start` does this; alone it is for who calls `poll` himself."""
        self._watched = threading.get_ident()
        self._clock = self._given_clock or cpu_clock_of_this_thread()
        if self._clock is None:
            self._clock, self._unit, self._patience = SystemClock().monotonic, "time by the wall clock", WALL_FACTOR

    def stop(self) -> None:
        """Stop watching, and wait for the watchdog's thread to end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join()

    def begin(self, label: str) -> None:
        """A step of the run `label` begins."""
        self._number += 1
        self._label = label

    def end(self) -> None:
        """The step has ended. Raises `BlockedStepError` if it was broken off; its execution must be thrown away then.

        May be called again, and does nothing then. Prefer `run`, which leaves no moment for a late interrupt to slip through.
        """
        self._label = None
        if self._shot:
            self._settle()

    def run(self, label: str, step: Callable[[], T]) -> T:
        """Run `step()` under watch and return or raise what it does; `BlockedStepError` if it was broken off."""
        try:
            try:
                self.begin(label)
                return step()
            finally:
                self.end()
        except StepInterrupt:
            # It landed before `end` could catch it. Shots are seconds apart: there is time to end in peace.
            self.end()
            raise BlockedStepError(f"the step of {label} was broken off") from None

    def _settle(self) -> None:
        """Let a shot that is still in the air arrive where it does no harm, and turn it into an error."""
        why = ""
        while True:
            try:
                with self._shooting:
                    why = why or self._shot
                    self._shot = ""
                    _let_arrive()
                break
            except StepInterrupt:
                continue  # it arrived here, where it does no harm
        if why:
            raise BlockedStepError(why)

    # -- the watchdog's thread ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.poll()
            except OSError:
                return  # the watched thread has ended without `stop`
            except Exception:
                _log.exception("the watchdog of blocked steps failed; it goes on")

    def poll(self) -> None:
        """Look once at the step that is running, if one is."""
        label, number = self._label, self._number
        clock = self._clock
        if label is None or clock is None:
            return
        now, limit_s = clock(), self._limit_s * self._patience
        if number != self._seen:
            # The step's own start was not measured, since reading this clock costs as much as a small step.
            self._seen, self._seen_at, self._reported = number, now, False
            self._next_shot_s = limit_s * INTERRUPT_FACTOR
            return
        used = now - self._seen_at
        if used >= limit_s and not self._reported:
            self._reported = True
            self._report(label, used)
        if used >= self._next_shot_s:
            self._next_shot_s = used + limit_s  # again later, in case the code has swallowed it
            self._shoot(label, number, used)

    def _report(self, label: str, used: float) -> None:
        frame = sys._current_frames().get(self._watched)
        stack = _stack_of_their_code(frame)
        self.blocked += 1
        _log.error(
            "workflow %s blocks its worker: its code has used %.1f s of %s without an await. All other runs of this worker "
            "wait meanwhile; move the work into an activity. It is now at:\n%s",
            label, used, self._unit, stack,
        )  # fmt: skip
        if self._on_blocked is not None:
            self._on_blocked(label, stack)

    def _shoot(self, label: str, number: int, used: float) -> None:
        with self._shooting:
            self._shot = (
                # No measured time: the text is kept as why the run is stuck, and is news only if it differs.
                f"the code of workflow {label} used more than {self._limit_s * self._patience * INTERRUPT_FACTOR:g} s of "
                f"{self._unit} without an await and was broken off; move the work into an activity"
            )
            if self._label is None or self._number != number:
                self._shot = ""  # it ended just now
                return
            _set_async_exception(self._watched, StepInterrupt)


def _stack_of_their_code(frame: FrameType | None) -> str:
    """Return the stack of `frame` from where the engine hands over to code that is not ours; all of it if it never does."""
    if frame is None:
        return ""
    stack, inside = traceback.extract_stack(frame), False
    for place, entry in enumerate(stack):
        if entry.filename.startswith(_ENGINE):
            inside = True
        elif inside and not entry.filename.startswith(_PACKAGE):
            return "".join(traceback.format_list(stack[place:]))
    return "".join(traceback.format_list(stack))


def _let_arrive() -> None:
    """Give an interrupt that is on its way to this thread the chance to arrive: it does so at the next turn of a loop.

    Taking it back instead (`PyThreadState_SetAsyncExc` with NULL) leaves CPython believing that something is pending: it looks
    at every call from then on, and under a tracer (a debugger, coverage, Hypothesis) 3.11 looks for ever and hangs.
    """
    for _ in range(ARRIVAL_TURNS):
        pass


def _set_async_exception(thread: int, kind: type[BaseException]) -> None:
    """Raise `kind` in `thread` when it next runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
