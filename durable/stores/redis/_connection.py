"""Connections to a server: calls of scripts in pipelines, one connection that blocks, and the subscriptions' own.

All that knows where a partition lives is here and in `_connect`: a store asks for calls, each of one partition.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from ...errors import InvalidCallError, StoreUnavailableError
from ._errors import is_demoted, is_missing_script, mapped
from ._keys import Keys
from ._lane import Argument, Lane
from ._options import Options
from ._scripts import Script

_TIMEOUT_S = 10.0  # for one answer: above the 5 s after which a server says BUSY, so that it can say so
_REPLICA_WAIT_MS = 5_000  # how long WAIT waits; the outcome is unknown if too few replicas have it by then


class Call(NamedTuple):
    """A script to run on the keys of one partition: its fixed ones, then `keys`."""

    script: Script
    where: Keys
    keys: Sequence[bytes]
    args: Sequence[Argument]
    writes: bool = True


class Plain(NamedTuple):
    """A command that only reads, on a key of one partition."""

    where: Keys
    args: Sequence[Argument]


def _settings(options: Options) -> dict[str, Any]:
    return {
        **options.connect,
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 0,  # a call that is not answered in time says the same
    }


def _by_hash(call: Call | Plain) -> tuple[Argument, ...]:
    if isinstance(call, Plain):
        return tuple(call.args)
    fixed = call.script.keys(call.where)
    return ("EVALSHA", call.script.sha, len(fixed) + len(call.keys), *fixed, *call.keys, *call.args)


def _by_source(call: Call) -> tuple[Argument, ...]:
    fixed = call.script.keys(call.where)
    return ("EVAL", call.script.source, len(fixed) + len(call.keys), *fixed, *call.keys, *call.args)


class Connection:
    """A single server. Nothing is sent twice by itself: whoever calls knows whether a repeat is safe."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._client = redis.asyncio.Redis(**_settings(options), retry=AsyncRetry(NoBackoff(), 0))
        self._lane = Lane(self._client.connection_pool, _TIMEOUT_S)
        # What goes this way may be repeated, and a renewal should not fail because the server was restarted before it.
        once = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        self._blocking = redis.Redis(**_settings(options), retry=once)
        self._lock = threading.Lock()
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def client(self) -> redis.asyncio.Redis:
        """The client, for what is asked when a store is opened."""
        return self._client

    def _open(self) -> None:
        if self._closed:
            raise InvalidCallError(f"the store {self._options.shown} is closed: open it anew")

    async def run(self, calls: Sequence[Call | Plain]) -> list[Any]:
        """Run calls in one round trip; the answer of each is in its place, or the error of ours that it got.

        Raises `StoreUnavailableError` if the connection fails: the outcome of all of them is unknown then.
        """
        self._open()
        if not calls:
            return []
        self._under_way += 1
        self._idle.clear()
        try:
            answers = await self._pipeline([_by_hash(call) for call in calls], _writes(calls))
            missing = [index for index, answer in enumerate(answers) if is_missing_script(answer)]
            if missing:
                again = [call for index in missing if isinstance(call := calls[index], Call)]
                found = await self._pipeline([_by_source(call) for call in again], _writes(again))
                for index, answer in zip(missing, found, strict=True):
                    answers[index] = answer
            if any(isinstance(answer, Exception) and is_demoted(answer) for answer in answers):
                await self._lane.renew()
        except Exception as error:
            raise self._explained(error) from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        return [self._explained(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def _explained(self, error: Exception) -> BaseException:
        return mapped(error, self._options.shown)

    async def _pipeline(self, commands: Sequence[tuple[Argument, ...]], writes: bool) -> list[Any]:
        replicas = self._options.wait_replicas if writes else 0
        if replicas:
            commands = [*commands, ("WAIT", replicas, _REPLICA_WAIT_MS)]
        answers = await self._lane.run(commands)
        if replicas:
            reached = answers.pop()
            if isinstance(reached, Exception) or int(reached) < replicas:
                raise StoreUnavailableError(
                    f"{self._options.shown}: {reached} of {replicas} replicas had the write after {_REPLICA_WAIT_MS} ms; "
                    "whether it would survive a failover is unknown"
                )
        return answers

    def run_blocking(self, calls: Sequence[Call]) -> list[Any]:
        """As `run`, from any thread, on a connection of its own. A call may be sent twice if the first one got no answer."""
        self._open()
        try:
            with self._lock:
                answers = self._pipeline_blocking([_by_hash(call) for call in calls])
                if any(is_missing_script(answer) for answer in answers):
                    answers = self._pipeline_blocking([_by_source(call) for call in calls])
        except Exception as error:
            raise self._explained(error) from error
        return [self._explained(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def _pipeline_blocking(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        client: Any = self._blocking
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def subscriber(self) -> Any:
        """Return a connection for subscriptions, a `PubSub` of redis-py; the caller closes it."""
        client: Any = self._client
        return client.pubsub()

    async def close(self) -> None:
        """Wait for calls under way, then close all connections. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        await self._lane.close()
        with contextlib.suppress(redis.RedisError, OSError):
            await self._client.aclose()
        self._blocking.close()


def _writes(calls: Sequence[Call | Plain]) -> bool:
    return any(isinstance(call, Call) and call.writes for call in calls)
