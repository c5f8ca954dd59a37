"""Futures and tasks that hash by a sequence number of their loop, so that a set of them iterates alike on every replay."""

import asyncio
from asyncio import tasks as _asyncio_tasks
from collections.abc import Coroutine
from contextvars import Context
from typing import TypeVar, cast

T = TypeVar("T")


class Future(asyncio.Future[T]):
    """A future of a `DeterministicLoop`; made by `loop.create_future()`, which numbers it."""

    __slots__ = ("sequence",)
    sequence: int

    def __hash__(self) -> int:
        return self.sequence


class Task(asyncio.Task[T]):
    """A task of a `DeterministicLoop`; made by `loop.create_task()`, which numbers it."""

    __slots__ = ("context", "sequence")
    sequence: int
    context: Context

    def __init__(
        self,
        coro: Coroutine[object, object, T],
        *,
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: Context,
        sequence: int,
    ) -> None:
        # asyncio keeps the tasks of all loops in one weak set, and a reference to a task remembers the hash that it saw
        # first. The sequence numbers of 10,000 runs are the same few numbers, which would make that set a list. So the
        # set sees an address here, and whoever comes later the number.
        self.sequence = id(self) >> 4
        self.context = context
        super().__init__(coro, loop=loop, name=name, context=context)
        self.sequence = sequence

    def __hash__(self) -> int:
        return self.sequence


class EagerTask(Task[T]):
    """A task whose code runs up to its first wait while it is created (Python 3.12 and later)."""

    __slots__ = ()

    def __init__(
        self,
        coro: Coroutine[object, object, T],
        *,
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: Context,
        sequence: int,
    ) -> None:
        self.sequence = sequence  # its own code may see the task before this returns
        self.context = context
        asyncio.Task.__init__(self, coro, loop=loop, name=name, context=context, eager_start=True)  # type: ignore[call-arg, unused-ignore]


def _sequence_of_gathering(future: "asyncio.Future[object]") -> int:
    known = getattr(future, "durable_sequence", None)
    if known is None:
        next_sequence = getattr(future.get_loop(), "next_sequence", None)
        known = object.__hash__(future) if next_sequence is None else next_sequence()
        future.durable_sequence = known  # type: ignore[attr-defined]
    return cast(int, known)


def number_gatherings() -> None:
    """Let the futures of `asyncio.gather` hash by sequence number in our loops; in all others nothing changes.

    `gather` makes its future by class, not through the loop, and so leaves us no other hold on a set such as the one in
    `asyncio.wait({gather(a, b), gather(c, d)})`. Without that private class (a later Python) the order is the address's.
    """
    kind = getattr(_asyncio_tasks, "_GatheringFuture", None)
    if kind is not None and kind.__hash__ is not _sequence_of_gathering:
        kind.__hash__ = _sequence_of_gathering
