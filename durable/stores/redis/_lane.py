"""One connection on which many callers' commands go out in the order in which they ask, without waiting for one another's answers."""

import asyncio
import builtins
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, ResponseError, TimeoutError  # noqa: A004 - the names of redis-py

Argument = bytes | str | int

# What a server answers to one command, and the connection lives on. redis-py takes LOADING for the end of the connection; but
# commands that follow on it may be carried out, once all is loaded.
REFUSALS = (ResponseError, BusyLoadingError)

_pack: Any = cast("Any", hiredis).pack_command  # its stub takes a tuple of one element only


def pack(command: tuple[Argument, ...]) -> bytes:
    """Return a command as the server gets it. redis-py's own packing takes several times as long as all else that a commit costs here."""
    packed: bytes = _pack(command)
    return packed


class _Batch(NamedTuple):
    """What one caller waits for: the answers to its commands, which come one after the other."""

    answer: "asyncio.Future[list[Any]]"
    commands: Sequence[tuple[Argument, ...]]
    found: list[Any]


class Lane:
    """A connection that is made when it is first used, and made anew after it broke. Nothing is ever sent twice.

    It may take `timeout_s` to make it. How long an answer may take, the connection says; that is watched here by one timer for all that is
    under way, since redis-py sets one for each write and each answer, which took a tenth of all that a run costs.
    """

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]], timeout_s: float) -> None:
        self._connect, self._timeout_s = connect, timeout_s
        self._connection: AbstractConnection | None = None
        self._queued: deque[_Batch] = deque()
        self._sent: deque[_Batch] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._closed = False
        self._answer_s: float | None = None  # how long the server may be silent while something is under way
        self._heard_s = 0.0  # when it was heard last, or was told something while nothing was under way
        self._silence: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Send commands and return their answers, errors of the server among them. Raises what breaks the connection."""
        if self._closed:
            raise ConnectionError("the connection is closed")
        batch = _Batch(asyncio.get_running_loop().create_future(), commands, [])
        self._queued.append(batch)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="durable commands to redis")
        return await batch.answer

    async def _write(self) -> None:
        """Send what is queued, until nothing is."""
        try:
            while self._queued:
                if self._connection is not None and await self._is_stale(self._connection):
                    await self._break(ConnectionError("the server closed the connection"))
                if self._connection is None:
                    self._connection = await self._connected()
                await self._send(self._connection)
        except Exception as error:
            await self._break(error)
        finally:
            self._writer = None
            if self._queued and not self._closed:
                self._writer = asyncio.create_task(self._write(), name="durable commands to redis")

    async def _send(self, connection: AbstractConnection) -> None:
        packed = self._packed()
        if not packed:
            return
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(connection), name="durable answers of redis")
        if self._silence is None and self._answer_s is not None:
            loop = asyncio.get_running_loop()
            self._heard_s = loop.time()
            self._silence = loop.call_later(self._answer_s, self._look_at_silence, loop, self._answer_s)
        try:
            await connection.send_packed_command(packed, check_health=False)
        except Exception as error:
            # Whoever reads may have been the first to see it break, and taken it away under our hands: then those who lost
            # their answers were told, and those who are queued by now have nothing to do with it.
            if self._connection is connection:
                # redis-py, which may have found the end itself, says it by an AttributeError.
                await self._break(
                    error if isinstance(error, RedisError | OSError) else ConnectionError(f"it ended: {error}")
                )

    def _look_at_silence(self, loop: asyncio.AbstractEventLoop, answer_s: float) -> None:
        """Give up the connection if the server has been silent for too long; else look again when that may be so."""
        left_s = self._heard_s + answer_s - loop.time()
        if left_s > 0:
            self._silence = loop.call_later(left_s, self._look_at_silence, loop, answer_s)
        else:
            self._silence = None
            error = TimeoutError(f"Timeout reading from the server: nothing came within {answer_s:g} s")
            self._ending = loop.create_task(self._break(error), name="durable end of a silent connection")

    def _packed(self) -> list[bytes]:
        """Take what is queued, as the server gets it; its callers wait for answers from now on."""
        packed = list[bytes]()
        while self._queued:
            batch = self._queued.popleft()
            if batch.answer.done():
                continue  # its caller was cancelled before anything was sent
            try:
                mine = [pack(command) for command in batch.commands]
            except (UnicodeError, TypeError) as error:
                batch.answer.set_exception(error)  # of this caller alone
            else:
                packed += mine
                self._sent.append(batch)
        return packed

    async def _is_stale(self, connection: AbstractConnection) -> bool:
        """Return whether an idle connection was closed by the server meanwhile, so that nothing is sent into the void."""
        if self._sent:
            return False
        try:
            return bool(await connection.can_read())  # nothing was asked: all there is to read is the end
        except (RedisError, OSError):
            return True

    async def _connected(self) -> AbstractConnection:
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connect()
        except builtins.TimeoutError:
            raise TimeoutError(f"the server did not answer within {self._timeout_s:g} s") from None
        self._answer_s, connection.socket_timeout = connection.socket_timeout, None
        return connection

    async def _read(self, connection: AbstractConnection) -> None:
        """Read the answers to what was sent, until all are there."""
        loop = asyncio.get_running_loop()
        try:
            while self._sent:
                batch = self._sent[0]
                for _ in batch.commands:
                    try:
                        # No `timeout=`: when that is over, redis-py answers None, and the answer comes to the next one who asks.
                        batch.found.append(await connection.read_response(disconnect_on_error=False))
                    except REFUSALS as error:
                        batch.found.append(error)
                self._heard_s = loop.time()
                self._sent.popleft()
                if not batch.answer.done():
                    batch.answer.set_result(batch.found)
            self._hear_no_more()
        except Exception as error:
            self._reader = None
            await self._break(error)
        finally:
            if self._reader is asyncio.current_task():
                self._reader = None

    def _hear_no_more(self) -> None:
        """Nothing is under way: the server may be silent."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    async def _break(self, error: Exception) -> None:
        """Give up the connection, and tell all whose answers will not come. What is queued goes out on the next one."""
        self._hear_no_more()
        connection, self._connection = self._connection, None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
        broken, self._sent = self._sent, deque()
        if connection is None:  # it could not be made: whoever waits for it is told
            broken, self._queued = self._queued, deque()
        for batch in broken:
            if not batch.answer.done():
                batch.answer.set_exception(error)
        if connection is not None:
            try:
                await connection.disconnect(nowait=True)
            except (RedisError, OSError):
                pass  # it is broken, and forgotten

    async def renew(self) -> None:
        """Give up the connection once all that was sent is answered; the next call makes a new one."""
        if not self._sent:
            await self._break(ConnectionError("the connection is made anew"))

    async def close(self) -> None:
        """End the connection. Whoever waits for an answer gets an error."""
        self._closed = True
        writer = self._writer
        await self._break(ConnectionError("the connection is closed"))
        if writer is not None:
            writer.cancel()
