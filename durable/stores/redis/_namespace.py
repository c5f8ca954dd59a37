"""A namespace on a server: its partitions' keys, its clock, and the calls that all parts of the store make."""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..._clock import Clock, SystemClock
from ...errors import InternalError
from .._rules import check_partition
from ._calls import Call, Plain
from ._connection import Connection
from ._keys import Keys, channel_prefix
from ._lane import Argument
from ._scripts import script
from ._watch import Notifier


class Namespace:
    """What the parts of a store share."""

    def __init__(self, connection: Connection, namespace: str, clock: Clock) -> None:
        self.connection, self.clock = connection, clock
        self.keys: list[Keys] = []  # by partition, once the namespace is open
        self.places: dict[str, int] = {}  # partitions of tasks that were claimed here, by id
        self.offset_ms = 0  # the server's clock less ours
        # Times are the server's, unless a test hands in a clock that it moves.
        self._real = isinstance(clock, SystemClock)
        self._origin = clock.new_id().encode()
        self._prefix = channel_prefix(namespace)

    @cached_property
    def notifier(self) -> Notifier:
        """Who watches what."""
        return Notifier(self.connection.subscriber, self._prefix, self._origin)

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.keys)

    def of(self, partition: int) -> Keys:
        """Return the keys of a partition. Raises `ValueError` if it is not there."""
        check_partition(partition, len(self.keys))
        return self.keys[partition]

    def now_ms(self) -> int:
        """Return the server's time, as far as it is known here: thread-safe, and without asking."""
        return self.clock.now_ms() + self.offset_ms

    def note_time(self, server_ms: int) -> None:
        """Note what the server's clock said just now."""
        if self._real:
            self.offset_ms = server_ms - self.clock.now_ms()

    def call(
        self, name: str, where: Keys, args: Sequence[Argument] = (), *, keys: Sequence[bytes] = (), writes: bool = True
    ) -> Call:
        """Return a call of the script `name`, told what every script is told first."""
        now: Argument = b"" if self._real else self.clock.now_ms()
        return Call(script(name), where, keys, (self._prefix, self._origin, now, *args), writes)

    async def run(self, calls: Sequence[Call | Plain]) -> list[Any]:
        """Run calls and return their answers. Raises if one of them is an error."""
        return [checked(answer) for answer in await self.connection.run(calls)]

    async def ask(
        self, name: str, where: Keys, args: Sequence[Argument] = (), *, keys: Sequence[bytes] = (), writes: bool = True
    ) -> Any:
        """Run one script and return its answer."""
        (answer,) = await self.run([self.call(name, where, args, keys=keys, writes=writes)])
        return answer

    def touch(self, topics: Sequence[str | bytes]) -> None:
        """Wake those of this process who watch one of these."""
        if topics:
            self.notifier.touch([topic if isinstance(topic, str) else topic.decode() for topic in topics])

    async def close(self) -> None:
        """Let go of everything."""
        await asyncio.gather(self.notifier.close(), self.connection.close())


def checked(answer: Any) -> Any:
    """Return an answer, or raise the error that it is."""
    if isinstance(answer, BaseException):
        raise answer
    return answer


def refuse_answer(name: str, answer: Any) -> InternalError:
    """Return the error for an answer that no script gives."""
    return InternalError(f"the script {name!r} answered {answer!r}")
