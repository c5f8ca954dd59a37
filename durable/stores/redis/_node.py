"""One server: its lane, and the connection of the thread that renews."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.connection import Connection as BlockingConnection
from redis.exceptions import ConnectionError, RedisError  # noqa: A004 - the name of redis-py

from ...errors import StoreUnavailableError
from . import _clients
from ._calls import Call, Plain, by_hash, by_source, writing
from ._errors import is_demoted, is_missing_script
from ._lane import REFUSALS, Argument, Lane, pack

REPLICA_WAIT_MS = 5_000  # how long WAIT waits; the outcome is unknown if too few replicas have it by then
ASKING: tuple[Argument, ...] = ("ASKING",)


class Node:
    """A server, asked by the loop. `connect` makes a connection to it, or to the one that took its place."""

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]], shown: str, wait_replicas: int) -> None:
        self._lane = Lane(connect, _clients.TIMEOUT_S)
        self._shown, self._wait_replicas = shown, wait_replicas

    async def run(self, calls: Sequence[Call | Plain], *, asking: bool = False) -> list[Any]:
        """Run calls in one round trip, and those whose script the server does not have in a second one.

        The answer of each is in its place, or the error that it got. Raises what breaks the connection, with the outcome of all
        unknown. `asking`: the slots of the calls are being moved to this server.
        """
        answers = await self._send([by_hash(call) for call in calls], writing(calls), asking)
        missing = [index for index, answer in enumerate(answers) if is_missing_script(answer)]
        if missing:
            again = [calls[index] for index in missing]
            try:
                found = await self._send([by_source(call) for call in again], writing(again), asking)
            except (RedisError, OSError) as error:  # even if there was no connection: the others were carried out
                raise ConnectionError(f"the connection ended before all was answered: {error}") from error
            for index, answer in zip(missing, found, strict=True):
                answers[index] = answer
        if any(isinstance(answer, Exception) and is_demoted(answer) for answer in answers):
            await self._lane.renew()
        return answers

    async def ask(self, command: tuple[Argument, ...]) -> Any:
        """Send a command that is about no key. Raises the error that it gets."""
        (answer,) = await self._lane.run([command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _send(self, commands: Sequence[tuple[Argument, ...]], writes: bool, asking: bool) -> list[Any]:
        replicas = self._wait_replicas if writes else 0
        sent = [each for command in commands for each in (ASKING, command)] if asking else list(commands)
        if replicas:
            sent.append(("WAIT", replicas, REPLICA_WAIT_MS))
        answers = await self._lane.run(sent)
        reached = answers.pop() if replicas else 0
        if asking:
            answers = answers[1::2]
        if replicas and (isinstance(reached, Exception) or int(reached) < replicas):
            if answers and all(isinstance(answer, Exception) for answer in answers):
                return answers  # nothing was written, so there was nothing to wait for
            raise StoreUnavailableError(
                f"{self._shown}: {reached} of {replicas} replicas had the write after {REPLICA_WAIT_MS} ms; "
                "whether it would survive a failover is unknown"
            )
        return answers

    async def close(self) -> None:
        """End the connection."""
        await self._lane.close()


class BlockingNode:
    """A server, asked by one thread at a time: first `send`, then `receive`."""

    def __init__(self, connect: Callable[[], BlockingConnection]) -> None:
        self._connect = connect
        self._connection: BlockingConnection | None = None
        self._awaited = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as that is known."""
        return self._connection is not None

    def send(self, commands: Sequence[tuple[Argument, ...]]) -> None:
        """Send commands, on a new connection if the old one was closed. Raises what breaks the connection."""
        connection: Any = self._connection
        if connection is not None and not self._awaited and _is_stale(connection):
            self.drop()
        try:
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            connection.send_packed_command([pack(command) for command in commands], check_health=False)
            self._awaited += len(commands)
        except BaseException:
            self.drop()
            raise

    def receive(self, count: int) -> list[Any]:
        """Return so many answers, errors of the server among them. Raises what breaks the connection."""
        connection: Any = self._connection
        answers = list[Any]()
        try:
            for _ in range(count):
                try:
                    answers.append(connection.read_response(disconnect_on_error=False))
                except REFUSALS as error:
                    answers.append(error)
                self._awaited -= 1
        except BaseException:
            self.drop()
            raise
        return answers

    def drop(self) -> None:
        """End the connection; the next `send` makes a new one."""
        connection: Any = self._connection
        self._connection, self._awaited = None, 0
        if connection is not None:
            connection.disconnect()


def _is_stale(connection: Any) -> bool:
    try:
        return bool(connection.can_read(0))  # nothing was asked: all there is to read is the end
    except (RedisError, OSError):
        return True
