"""Ends suspended coroutines without effect and without a sound, for an execution that nobody needs any more."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from types import CoroutineType
from typing import Any

from ._futures import Task

_CONTAINERS = (list, tuple, dict, set)
_CLOSES_MAX = 100  # awaits in one coroutine's `finally` blocks; code that swallows GeneratorExit for ever ends here
_TASKS_MAX = 10_000  # tasks that such blocks may start on top, before the rest is left to the garbage collector


def dispose_tasks(loop: asyncio.AbstractEventLoop, live: dict[int, Task[object]]) -> None:
    """Close the coroutines of `live`, oldest first, and of the tasks that this starts. Never raises."""
    for task in live.values():
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    for _ in range(len(live) + _TASKS_MAX):
        if not live:
            return
        task = live.pop(next(iter(live)))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coro = task.get_coro()
        _close_unstarted(coro)
        quietly(partial(_close, loop, task, coro))


def dispose_generators(generators: Iterable[AsyncGenerator[object, object]]) -> None:
    """Close suspended asynchronous generators. Never raises."""
    for generator in generators:
        for _ in range(_CLOSES_MAX):
            closing = generator.aclose()
            if quietly(partial(closing.send, None)):
                break  # StopIteration: its end is reached
            quietly(closing.close)


def quietly(call: Callable[[], object]) -> bool:
    """Call, swallow whatever is raised, and return whether something was."""
    try:
        call()
    except BaseException:  # an evicted execution's cleanup has no one to tell, not even of a SystemExit
        return True
    return False


def _close(loop: asyncio.AbstractEventLoop, task: Task[object], coro: object) -> None:
    task.context.run(_close_as, loop, task, coro)


def _close_as(loop: asyncio.AbstractEventLoop, task: Task[object], coro: object) -> None:
    asyncio.tasks._enter_task(loop, task)
    try:
        for _ in range(_CLOSES_MAX):
            try:
                coro.close()  # type: ignore[attr-defined]
                return
            except RuntimeError:  # "coroutine ignored GeneratorExit": a `finally` awaited, so end that await as well
                continue
    finally:
        asyncio.tasks._leave_task(loop, task)


def _close_unstarted(suspended: object) -> None:
    """Close the coroutines that `suspended` or one that it awaits holds unstarted, else each would warn on its death."""
    frontier: list[object] = [suspended]
    seen: set[int] = set()
    while frontier:
        holder = frontier.pop()
        held: Any
        for held in gc.get_referents(holder):  # variables and half-evaluated expressions alike
            if id(held) in seen:
                continue
            if _is_coroutine(held):
                seen.add(id(held))
                if held.cr_frame is None or held.cr_running:
                    continue
                if held.cr_suspended:
                    frontier.append(held)
                else:
                    quietly(held.close)
            elif type(held) in _CONTAINERS and _is_coroutine(holder):
                seen.add(id(held))
                frontier.append(held)


def _is_coroutine(value: object) -> bool:
    return type(value) is CoroutineType
