"""The workflow that runs random programs, and what it calls."""

from __future__ import annotations

import asyncio
from typing import Any

from ...author import (
    Attribute,
    Query,
    Signal,
    Update,
    all_handlers_finished,
    continue_as_new,
    deprecate_patch,
    external,
    info,
    local,
    patched,
    proxy,
    random,
    side_effect,
    sleep,
    start_child,
    upsert_attributes,
    wait_condition,
    workflow,
)
from ...errors import ActivityError, ChildWorkflowError, RunNotFoundError
from ...history import ParentClose
from ._activities import act, give, near, shaky
from ._programs import Program, Step

go = Signal("go", int)
told = Signal("told", int)
never = Signal("never", int)
ask, linger = Update("ask", int, int), Update("linger", int, int)
chosen, fresh = Attribute("chosen", int), Attribute("fresh", int)
progress = Query("progress", int)


class RefusedError(Exception):
    """What a program raises."""


@workflow(name="durable.random.program", raises=[RefusedError])
async def interpret(
    program: Program, unit_s: float = 1.0, carried: dict[str, list[int]] | None = None
) -> dict[str, list[int]]:
    """Run `program`; return its log and the values it has heard and served, sorted: which comes first depends on the timing.

    Its seconds last `unit_s` each. `carried` is what the runs before this one of the chain have come to.
    """
    state = _State(unit_s, carried)

    @progress.handler
    def count() -> int:  # pyright: ignore[reportUnusedFunction]
        return len(state.log)

    @ask.validator
    def refuse(n: int) -> None:  # pyright: ignore[reportUnusedFunction]
        if n < 0:
            raise RefusedError(f"no {n}")

    @ask.handler
    async def serve(n: int) -> int:  # pyright: ignore[reportUnusedFunction]
        doubled = await act(n)
        state.served.append(n)
        return doubled

    @linger.handler(concurrent=True, unfinished="abandon")
    async def wait_with_it(n: int) -> int:  # pyright: ignore[reportUnusedFunction]
        return n + await never.receive()

    await state.run(program, state.log)
    return {"log": state.log, "heard": sorted(state.heard), "served": sorted(state.served)}


@workflow(name="durable.random.listener")
async def listen(count: int) -> list[int]:
    """Receive `count` values and return them, sorted."""
    return sorted([await told.receive() for _ in range(count)])


@workflow(name="durable.random.overhearer")
async def overhear(count: int) -> list[int]:
    """The same, without knowing any name; tell whoever asks what was asked."""
    heard: list[int] = []

    @Signal.dynamic
    def hear(name: str, value: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if name == told.name:
            heard.append(value)

    @Update.dynamic
    async def answer(name: str, value: Any) -> list[Any]:  # pyright: ignore[reportUnusedFunction]
        return [name, await act(value)]

    @Query.dynamic
    def echo(name: str, args: list[Any]) -> list[Any]:  # pyright: ignore[reportUnusedFunction]
        return [name, *args]

    await wait_condition(lambda: len(heard) >= count)
    return sorted(heard)


@workflow(name="durable.random.victim", version="1", pinned=True)
async def suffer(n: int) -> int:
    """Wait to be cancelled, and clean up. Pinned: it has an inbox of its own, with owners of its own."""
    try:
        return await never.receive()
    finally:
        await act(n)


@workflow(name="durable.random.stay")
async def stay(n: int, seconds: float) -> int:
    """Take some seconds, or (less than 0) wait for ever; clean up."""
    try:
        if seconds < 0:
            return await never.receive()
        await sleep(seconds)
        return n
    finally:
        await local(near)(n)


@workflow(name="durable.random.keep", version="1", pinned=True)
async def keep_1(n: int, rounds: int) -> int:
    """Say which code it is that runs; in several runs, one after the other."""
    return await _keep(1, n, rounds)


@workflow(name="durable.random.keep", version="2", pinned=True)
async def keep_2(n: int, rounds: int) -> int:
    """The same, by other code."""
    return await _keep(2, n, rounds)


async def _keep(version: int, n: int, rounds: int) -> int:
    kept: int = await local(near)(n - 1)
    if rounds > 1:
        continue_as_new(kept, rounds - 1)
    return 10 * kept + version


@workflow(name="durable.random.contender", raises=[RefusedError])
async def compete(number: int, seconds: float) -> int:
    """Take messages for some seconds; then return `number`, or fail if it is one of three."""

    @told.handler
    def hear(_n: int) -> None:  # pyright: ignore[reportUnusedFunction]
        """It is in the history."""

    @ask.handler
    async def serve(n: int) -> int:  # pyright: ignore[reportUnusedFunction]
        return await act(n)

    await sleep(seconds)
    if number % 3 == 0:
        raise RefusedError(f"no {number}")
    return number


@workflow(name="durable.random.dawdler")
async def dawdle(rounds: int, seconds: float) -> int:
    """Take some seconds in each of several runs, one after the other."""
    await sleep(seconds)
    if rounds > 1:
        continue_as_new(rounds - 1, seconds)
    return await act(rounds)


WORKFLOWS = (interpret, listen, overhear, suffer, stay, keep_1, keep_2, compete, dawdle)
PARENT_CLOSE: tuple[ParentClose, ...] = ("terminate", "cancel", "abandon")


def listener_of(workflow_id: str) -> str:
    """Return the workflow id of the run that hears what a program tells."""
    return f"{workflow_id}-listener"


def victim_of(workflow_id: str, index: int) -> str:
    """Return the workflow id of a run that a program cancels."""
    return f"{workflow_id}-victim-{index}"


class _State:
    """A program that runs."""

    def __init__(self, unit_s: float, carried: dict[str, list[int]] | None) -> None:
        self._unit_s = unit_s
        before = carried or {"log": [], "heard": [], "served": [], "awaited": [0]}
        self.log, self.heard, self.served = before["log"], before["heard"], before["served"]
        self._awaited = before["awaited"][0]  # updates that steps wait for, or have waited for
        self._chosen = 0

    async def run(self, program: Program, log: list[int]) -> None:
        for step in program:
            kind = step[0]
            nested = getattr(self, f"_{kind}", None)
            if nested is not None:
                await nested(log, *step[1:])
            else:
                log.extend(await self._leaf(step))

    async def _leaf(self, step: Step) -> list[int]:
        kind, *args = step
        match kind:
            case "act" | "flaky":
                return [await act(*args)]
            case "patient" | "kept":
                patient: Any = proxy(act if kind == "patient" else give, cancellation="wait")
                result = await (patient(args[0]) if kind == "patient" else patient(args[0], True))
                _go_on()
                return [result]
            case "shaky":
                return [await shaky(args[0])]
            case "given":
                return [await give(*args)]
            case "local" | "near":
                return [await local(near)(*args)]
            case "fail" | "fail_near":
                call: Any = act if kind == "fail" else local(near)
                try:
                    return [await call(args[0], 100)]
                except ActivityError:
                    return [-args[0]]
            case "nap":
                await sleep(args[0] * self._unit_s)
                return [0]
            case "hear":
                self.heard.append(await go.receive())
                return [0]
            case "never":
                return [await never.receive(timeout=args[0] * self._unit_s, default=-1)]
            case "choice":
                self._chosen += 1
                upsert_attributes({chosen: self._chosen, fresh: None if self._chosen % 2 else self._chosen})
                deprecate_patch("old")
                return [int(0 <= random().random() < 1), int(patched("new")), side_effect(_seven)]
            case "raise":
                raise RefusedError(f"no {args[0]}")
            case _:
                return await self._outside(kind, args)

    async def _outside(self, kind: str, args: list[Any]) -> list[int]:
        me = info().workflow_id
        match kind:
            case "tell":
                await external(listener_of(me)).signal(told, args[0])
            case "broken":
                try:
                    await interpret([["raise", args[0]]], self._unit_s)
                except ChildWorkflowError:
                    _go_on()
                    return [-5]
            case "called":
                child = await start_child(suffer)(args[0])
                await child.cancel("called off")
                try:
                    await child
                except ChildWorkflowError:
                    _go_on()
                    return [-6]
            case "pinned":
                pinned = keep_1 if args[0] == 1 else keep_2
                kept = await pinned(args[1], 2)
                _go_on()
                return [kept]
            case "left":
                n, close = int(args[0]), PARENT_CLOSE[int(args[1])]
                left = start_child(stay, parent_close=close, cancellation="abandon")
                await left(n, n * self._unit_s if close == "abandon" else -1)
            case "halt":
                await external(victim_of(me, args[0])).cancel("halted")
            case "nobody":
                try:
                    await external(f"{me}-nobody").signal(told, 1)
                except RunNotFoundError:
                    return [-4]
            case _:
                raise ValueError(f"no such step: {kind!r}")
        return [0]

    async def _serve(self, log: list[int]) -> None:
        self._awaited += 1
        wanted = self._awaited
        await wait_condition(lambda: len(self.served) >= wanted)
        log.append(0)

    async def _again(self, _log: list[int], rest: Program) -> None:
        # What a handler does after this call is not in what the next run gets.
        await wait_condition(all_handlers_finished)
        carried = {"log": self.log, "heard": self.heard, "served": self.served, "awaited": [self._awaited]}
        continue_as_new(rest, self._unit_s, carried)

    async def _gather(self, log: list[int], *parts: Program) -> None:
        logs: list[list[int]] = [[] for _ in parts]
        await asyncio.gather(*(self.run(part, each) for part, each in zip(parts, logs, strict=True)))
        for each in logs:
            log.extend(each)

    async def _child(self, log: list[int], body: Program) -> None:
        inner = (await interpret(body, self._unit_s))["log"]
        _go_on()
        log.extend(inner)

    async def _race(self, log: list[int], *parts: Program) -> None:
        logs: list[list[int]] = [[] for _ in parts]
        tasks = [asyncio.ensure_future(self.run(part, each)) for part, each in zip(parts, logs, strict=True)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            winner = next(index for index, task in enumerate(tasks) if task.done())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        tasks[winner].result()
        log.extend(logs[winner])

    async def _sure(self, log: list[int], body: Program) -> None:
        inner: list[int] = []
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(never.receive()),
            asyncio.ensure_future(self.run(body, inner)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        tasks[1].result()
        log.extend(inner)

    async def _bounded(self, log: list[int], seconds: int, body: Program) -> None:
        inner: list[int] = []
        try:
            async with asyncio.timeout(seconds * self._unit_s):
                await self.run(body, inner)
        except TimeoutError:
            inner = [-2]
        log.extend(inner)

    async def _repeat(self, log: list[int], times: int, body: Program) -> None:
        for _ in range(times):
            await self.run(body, log)

    async def _finally(self, log: list[int], body: Program, cleanup: Program) -> None:
        try:
            await self.run(body, log)
        finally:
            await self.run(cleanup, log)

    async def _stopped(self, log: list[int], body: Program, cleanup: Program) -> None:
        inner: list[int] = []
        ready = False

        async def work() -> None:
            nonlocal ready
            try:
                await self.run(body, inner)
                ready = True
                await never.receive()
            finally:
                await self.run(cleanup, inner)

        task = asyncio.create_task(work())
        try:
            await wait_condition(lambda: ready or task.done())
        finally:
            task.cancel()
            (error,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(error, Exception):
            raise error
        log.extend([*inner, -3])


def _go_on() -> None:
    """Raise `CancelledError` if the task was cancelled while what it waited for came to another end: its code must not go on for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _seven() -> int:
    return 7
