"""The connection to a single server, which may be one that Sentinel names."""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import redis

from ._calls import Call, Plain, by_hash, by_source
from ._clients import Address, Clients, closed_error
from ._durability import asked
from ._errors import is_demoted, is_missing_script, mapped
from ._node import BlockingNode, Node
from ._options import Options

_CONNECT_S = 5.0  # a server that is not there takes no longer to be missed
RENEW_S = 2.0  # for an answer to a renewal: a half-open connection must not cost the session, which lasts 5 s


class Finder(Protocol):
    """Says where the server is. Both raise an error of redis-py or of the system if they cannot."""

    async def find(self) -> Address:
        """Return the address to connect to."""
        ...

    def find_blocking(self) -> Address:
        """As `find`, from the thread that renews."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Fixed:
    """A server that stays where it is."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def find(self) -> Address:
        """See `Finder`."""
        return self._address

    def find_blocking(self) -> Address:
        """See `Finder`."""
        return self._address

    async def close(self) -> None:
        """See `Finder`."""


class Single:
    """See `Connection`. A connection that is made anew goes where the finder says then."""

    def __init__(self, options: Options, finder: Finder) -> None:
        self._options, self._finder = options, finder
        self._clients = Clients(options, connect_s=_CONNECT_S, blocking_s=RENEW_S)
        self._node = Node(self._connected, options.shown, options.wait_replicas)
        self._blocking = BlockingNode(lambda: self._clients.connected_blocking(finder.find_blocking()))
        self._lock = threading.Lock()
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def _connected(self) -> Any:
        return await self._clients.connected(await self._finder.find())

    async def about(self) -> list[tuple[str, dict[str, Any]]]:
        """See `Connection`."""
        address = await self._finder.find()
        return [(str(address), await asked(self._clients.at(address)))]

    async def run(self, calls: Sequence[Call | Plain]) -> list[Any]:
        """See `Connection`. Raises `StoreUnavailableError` if the connection fails: the outcome of all of them is unknown then."""
        if self._closed:
            raise closed_error(self._options.shown)
        if not calls:
            return []
        self._under_way += 1
        self._idle.clear()
        try:
            answers = await self._node.run(calls)
        except Exception as error:
            raise self._explained(error) from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        return [self._explained(answer) if isinstance(answer, Exception) else answer for answer in answers]

    def _explained(self, error: Exception) -> BaseException:
        return mapped(error, self._options.shown)

    def run_blocking(self, calls: Sequence[Call]) -> list[Any]:
        """See `Connection`."""
        if self._closed:
            raise closed_error(self._options.shown)
        try:
            with self._lock:
                self._blocking.send([by_hash(call) for call in calls])
                answers = self._blocking.receive(len(calls))
                if any(is_missing_script(answer) for answer in answers):
                    self._blocking.send([by_source(call) for call in calls])
                    answers = self._blocking.receive(len(calls))
                if any(isinstance(answer, Exception) and is_demoted(answer) for answer in answers):
                    self._blocking.drop()
        except Exception as error:
            raise self._explained(error) from error
        return [self._explained(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def subscriber(self) -> Any:
        """See `Connection`."""
        client: Any = self._clients.at(await self._finder.find())
        return client.pubsub()

    async def close(self) -> None:
        """See `Connection`."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        await self._node.close()
        with contextlib.suppress(redis.RedisError, OSError):
            await self._finder.close()
            await self._clients.close()
        self._blocking.drop()
