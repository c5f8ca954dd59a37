"""Lets time pass in a `TestEnvironment`: to the next due time, as soon as nothing else can happen, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ..errors import DurableError, StuckTestError
from ._clock import VirtualClock
from ._environment_loop import LoopView

ADVANCE_PATIENCE_S = 1.0  # real time that `advance` gives a real activity which is under way
JUMPS_MAX = (
    50_000  # without the result that is waited for: a workflow that sleeps in a loop for ever takes seconds to be told
)


class Waiter:
    """Somebody outside who waits for one of `topics`. `error`, once set, is what they get instead."""

    __slots__ = ("error", "event", "jumps", "topics")

    def __init__(self, topics: Sequence[str], event: asyncio.Event) -> None:
        self.topics, self.event = topics, event
        self.jumps = 0
        self.error: DurableError | None = None

    def fail(self, error: DurableError) -> None:
        """End the wait with `error`."""
        self.error = error
        self.event.set()


class Watcher(Protocol):
    """What the environment knows of its runs."""

    async def trouble(self) -> DurableError | None:
        """Return what is wrong with the test itself, such as an activity that nobody knows."""
        ...

    async def fail_stuck(self, waiters: Sequence[Waiter]) -> bool:
        """Fail those who wait for a run that is stuck; return whether there were any."""
        ...

    async def serve_more(self, *, thorough: bool) -> bool:
        """Begin what is missing for tasks (`thorough`: and runs) to go on; return whether something was."""
        ...

    async def story(self) -> str:
        """Return what each open run waits for, a line each."""
        ...

    def passed(self) -> None:
        """Time has passed."""
        ...


class Busy:
    """A real activity that runs: time stands still meanwhile, unless the activity waits for the environment itself."""

    __slots__ = ("name", "paused")

    def __init__(self, name: str) -> None:
        self.name, self.paused = name, 0


_BUSY: ContextVar[Busy | None] = ContextVar("durable_testing_busy", default=None)


class TimeKeeper:
    """Owns a virtual clock. `run` is to be a task of the environment's loop."""

    def __init__(self, clock: VirtualClock, watcher: Watcher, *, patience_s: float) -> None:
        self._clock, self._watcher, self._patience_s = clock, watcher, patience_s
        self._view = LoopView(asyncio.get_running_loop())
        self._changed = asyncio.Event()
        self._waiters: list[Waiter] = []
        self._advances: list[tuple[int, asyncio.Future[None]]] = []
        self._busy: list[Busy] = []
        self.frozen = 0
        clock.on_wait = self._changed.set

    # --- who waits, and who is busy

    @contextmanager
    def waiting(self, waiter: Waiter) -> Generator[None]:
        """Let time pass while the block waits."""
        self._waiters.append(waiter)
        self._changed.set()
        with self.not_busy():
            try:
                yield
            finally:
                self._waiters.remove(waiter)

    @contextmanager
    def busy(self, name: str) -> Generator[None]:
        """The block is a real activity: let no time pass meanwhile."""
        busy = Busy(name)
        self._busy.append(busy)
        token = _BUSY.set(busy)
        try:
            yield
        finally:
            _BUSY.reset(token)
            self._busy.remove(busy)
            self._changed.set()

    @contextmanager
    def not_busy(self) -> Generator[None]:
        """A real activity waits for the environment in the block: time may pass."""
        busy = _BUSY.get()
        if busy is None:
            yield
            return
        busy.paused += 1
        self._changed.set()
        try:
            yield
        finally:
            busy.paused -= 1

    async def advance(self, duration_ms: int) -> None:
        """Let `duration_ms` pass, through all that is due on the way, and what follows happen."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        item = (self._clock.passed_ms + duration_ms, done)
        self._advances.append(item)
        self._changed.set()
        with self.not_busy():
            try:
                await done
            finally:
                if item in self._advances:
                    self._advances.remove(item)

    async def until_empty(self) -> None:
        """Let everything happen that needs no time and nothing from outside."""
        await self._view.until_empty()

    def thaw(self) -> None:
        """Undo one freeze."""
        self.frozen -= 1
        self._changed.set()

    # --- the loop

    async def run(self) -> None:
        """Let time pass until cancelled."""
        patience_is_over = False
        while True:
            await self._view.until_empty()
            self._changed.clear()
            patience_s = await self._act(patience_is_over)
            patience_is_over = False
            if patience_s != 0:
                patience_is_over = not await self._until_changed(patience_s)

    async def _until_changed(self, patience_s: float | None) -> bool:
        try:
            async with asyncio.timeout(patience_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _act(self, patience_is_over: bool) -> float | None:
        """Do the one thing that can happen now. Return 0 if something did; else how long to wait for what only the outside can bring."""
        if (self._waiters or self._advances) and (
            await self._watcher.serve_more(thorough=False) or await self._tell_trouble()
        ):
            return 0
        busy = [item.name for item in self._busy if not item.paused]
        dead = (patience_is_over and bool(self._waiters or self._advances)) or self._view.is_dead()
        due_ms = self._clock.next_due()
        if self._advances:
            return self._step_advance(due_ms) if dead or not busy else min(ADVANCE_PATIENCE_S, self._patience_s)
        if not self._waiters and not dead:
            return None
        if not self.frozen and not busy and due_ms is not None:
            return await self._jump_to(due_ms)
        if await self._watcher.serve_more(thorough=True):
            return 0
        if not self._waiters:
            return None
        if not dead:
            return self._patience_s
        await self._give_up(busy, due_ms)
        return 0

    async def _tell_trouble(self) -> bool:
        trouble = await self._watcher.trouble()
        if trouble is None:
            return await self._watcher.fail_stuck(tuple(self._waiters))
        for waiter in self._waiters:
            waiter.fail(trouble)
        advances, self._advances = self._advances, []
        for _, done in advances:
            if not done.done():
                done.set_exception(trouble)
        return True

    def _step_advance(self, due_ms: int | None) -> float:
        target_ms, done = min(self._advances, key=lambda item: item[0])
        if due_ms is not None and due_ms <= target_ms:
            self._jump(due_ms)
            return 0
        self._jump(target_ms)
        self._advances.remove((target_ms, done))
        if not done.done():
            done.set_result(None)
        return 0

    async def _jump_to(self, due_ms: int) -> float:
        for waiter in self._waiters:
            waiter.jumps += 1
            if waiter.jumps > JUMPS_MAX:
                text = f"time has jumped {JUMPS_MAX:,} times: does a workflow sleep in a loop without end?"
                await self._fail([waiter], text)
                return 0
        self._jump(due_ms)
        return 0

    def _jump(self, passed_ms: int) -> None:
        self._clock.jump(passed_ms)
        self._watcher.passed()

    async def _give_up(self, busy: list[str], due_ms: int | None) -> None:
        if self.frozen and due_ms is not None:
            left_s = (due_ms - self._clock.passed_ms) / 1000
            text = (
                f"time is frozen, and the next thing to happen is due in {left_s:g} s: `await env.advance(...)` or thaw"
            )
        elif busy:
            names = ", ".join(sorted(set(busy)))
            text = f"time stands still while a real activity runs, and {names} does not end: fake it, or let it end"
        else:
            text = "nothing can happen any more"
        await self._fail(self._waiters, text)

    async def _fail(self, waiters: Sequence[Waiter], text: str) -> None:
        story = await self._watcher.story()
        for waiter in tuple(waiters):
            waiter.fail(StuckTestError(f"{text}\n{story}" if story else text))
