"""What a run's code waits for by `wait_condition`: predicates, tried whenever the code has come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run


class Conditions:
    """The conditions of one run."""

    __slots__ = ("_items", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._items: list[tuple[Callable[[], Any], asyncio.Future[None], Context]] = []

    def __bool__(self) -> bool:
        return bool(self._items)

    def wait(self, predicate: Callable[[], Any]) -> asyncio.Future[None]:
        """Return a future that is done once `predicate` holds, and raises what it raises."""
        future: asyncio.Future[None] = self._run.loop.create_future()
        self._items.append((predicate, future, copy_context()))
        return future

    @property
    def pending(self) -> int:
        """How many are waited for."""
        return sum(not future.done() for _, future, _ in self._items)

    def resolve(self) -> bool:
        """Try each once; return whether that made code ready to run."""
        met = False
        for item in list(self._items):
            predicate, future, where = item
            if future.done():
                self._items.remove(item)
                continue
            try:
                holds = where.copy().run(self._run.holds, predicate)
            except Exception as error:
                self._items.remove(item)
                future.set_exception(error)
                met = True
                continue
            if holds:
                self._items.remove(item)
                future.set_result(None)
                met = True
        return met
