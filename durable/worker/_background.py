"""The parts of a worker that run in the background: if one of them dies, the worker must not hang silently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger("durable.worker")


class Background:
    """A set of tasks. The first unexpected error is kept as `error`, logged, and reported by `on_error`."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self.error: BaseException | None = None
        self._on_error = on_error
        self._tasks: dict[asyncio.Task[None], str] = {}

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`, and report it should it fail."""
        task = asyncio.get_running_loop().create_task(work, name=f"durable-{name}")
        self._tasks[task] = name
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancel what still runs, and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        name = self._tasks.pop(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("a part of the worker (%s) failed, and it stops: %s", name, error, exc_info=error)
        if self.error is None:
            self.error = error
            self._on_error(error)
