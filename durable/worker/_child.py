"""What runs in a child process: it takes one attempt at a time, and says how it goes.

The parent writes `Order` and `Cancel`, the child `Beat`s and one `Done` or `Unreadable` for each order.
The two trust each other;
what came out of the store crosses as bytes, and is decoded here by the hints of the function that the parent registered.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, cast

import msgspec

from .._log import ActivityEnded, ActivityTask
from ..author import Activity
from ..author._activity_context import ActivityContext, ActivityInfo
from ..codec import Codec
from ..errors import DefinitionError
from ..stores import ClaimedTask
from ._attempt import describe
from ._outcome import perform
from ._plans import Plan, resolve


@dataclass(frozen=True, slots=True)
class Order:
    """Run this attempt of the activity that is `name` in `module`."""

    number: int
    module: str
    name: str
    queue: str
    task: ActivityTask
    claimed: ClaimedTask | None
    started_ms: int
    previous: bytes | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The result of this order is no longer wanted."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has started."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The code called `heartbeat`; `said` are its last details."""

    number: int
    said: bytes | None


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt ended."""

    number: int
    ended: ActivityEnded | None  # None: it stopped because it was told to


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The attempt could not begin: the function was not found, or its arguments do not fit it."""

    number: int
    reason: str


class ChildAttempt(ActivityContext):
    """The attempt that this process runs."""

    __slots__ = ("_child", "order")

    def __init__(self, order: Order, codec: Codec, child: _Child) -> None:
        super().__init__(codec, None if order.previous is None else msgspec.Raw(order.previous))
        self.order, self._child = order, child

    @property
    def can_defer(self) -> bool:  # type: ignore[override]
        """See `ActivityContext`."""
        return self.order.claimed is not None

    def describe(self) -> ActivityInfo:
        """See `ActivityContext`."""
        order = self.order
        return describe(self, order.task, order.claimed, order.queue, order.started_ms)

    def beat(self) -> None:
        """See `ActivityContext`."""
        self._child.send(Beat(self.order.number, None if self.said is None else bytes(self.said)))


class _Child:
    def __init__(self, connection: Connection, codec: Codec) -> None:
        self._connection, self._codec = connection, codec
        self._sending = threading.Lock()
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._current: ChildAttempt | None = None
        self._cancelled: set[int] = set()
        self._plans: dict[tuple[str, str], Plan] = {}

    def send(self, message: Ready | Beat | Done | Unreadable) -> None:
        with self._sending, suppress(OSError):  # a parent that is gone is noticed by `listen`
            self._connection.send(message)

    def listen(self) -> None:
        """Take what the parent writes. Its end is the end of this process, whatever the code is doing."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)
            if isinstance(message, Order):
                self._orders.put(message)
            else:
                self._cancelled.add(message.number)
                current = self._current
                if current is not None and current.order.number == message.number:
                    current.cancelled = True

    def serve(self) -> None:
        while True:
            order = self._orders.get()
            context = self._current = ChildAttempt(order, self._codec, self)
            context.cancelled = order.number in self._cancelled
            try:
                plan = self._plan(order)
                args, kwargs = plan.arguments(order.task)
            except Exception as error:  # importing a module runs the user's code
                self.send(Unreadable(order.number, f"{type(error).__name__}: {error}"))
            else:
                self.send(Done(order.number, perform(plan, order.task, context, args, kwargs)))
            self._current = None
            self._cancelled.clear()

    def _plan(self, order: Order) -> Plan:
        place = order.module, order.name
        if place not in self._plans:
            found: Any = resolve(*place)
            if not isinstance(found, Activity):
                raise DefinitionError(f"{order.module}.{order.name} is no activity in this process")
            self._plans[place] = Plan(cast(Activity[..., Any], found), self._codec, order.queue)
        return self._plans[place]


def serve(connection: Connection, codec: Codec) -> None:
    """Run orders from `connection` until its other end closes."""
    # Ctrl-C reaches the whole group of the terminal, a service manager's SIGTERM each process of the service. It is the
    # parent who decides what that means for running activities; it ends this process by SIGKILL, or by closing the pipe.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    child = _Child(connection, codec)
    child.send(Ready())
    threading.Thread(target=child.listen, name="durable-listen", daemon=True).start()
    child.serve()
