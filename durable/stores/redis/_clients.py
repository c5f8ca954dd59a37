"""How connections to an address are made."""

from typing import Any, NamedTuple, cast

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import Connection as BlockingConnection
from redis.retry import Retry

from ...errors import InvalidCallError
from ._options import Options

TIMEOUT_S = 10.0  # for one answer: above the 5 s after which a server says BUSY, so that it can say so

# No error is one to be retried: even with no retry allowed, redis-py would connect anew by itself before it tells. Two tasks that
# share a subscription would do so at once, and what was said meanwhile be missed without a word.
_NEVER = AsyncRetry(NoBackoff(), 0, supported_errors=())


class Address(NamedTuple):
    """Where a server is. A server at a socket's path has no port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else self.host


class Clients:
    """The clients of redis-py that connections of one store come from, by address. They are made when first asked for.

    `connect_s` bounds how long a connection may take, `blocking_s` how long the thread that renews waits for an answer.
    """

    def __init__(self, options: Options, *, connect_s: float = TIMEOUT_S, blocking_s: float = TIMEOUT_S) -> None:
        self._options, self._connect_s, self._blocking_s = options, connect_s, blocking_s
        self._clients: dict[Address, redis.asyncio.Redis] = {}
        self._blocking: dict[Address, redis.Redis] = {}

    def at(self, address: Address) -> redis.asyncio.Redis:
        """Return the client of an address."""
        found = self._clients.get(address)
        if found is None:
            settings = self._settings(address, TIMEOUT_S)
            found = self._clients[address] = redis.asyncio.Redis(**settings, retry=_NEVER)
        return found

    def blocking(self, address: Address) -> redis.Redis:
        """Return the client that blocks; only one thread may ask at a time."""
        found = self._blocking.get(address)
        if found is None:
            settings = self._settings(address, self._blocking_s)
            found = self._blocking[address] = redis.Redis(**settings, retry=Retry(NoBackoff(), 0))
        return found

    async def connected(self, address: Address) -> AbstractConnection:
        """Return a new connection. Raises what redis-py raises if there is none."""
        pool: Any = self.at(address).connection_pool
        connection = pool.make_connection()
        await connection.connect()
        return cast("AbstractConnection", connection)

    def connected_blocking(self, address: Address) -> BlockingConnection:
        """Return a new connection that blocks."""
        pool: Any = self.blocking(address).connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        return cast("BlockingConnection", connection)

    def _settings(self, address: Address, timeout_s: float) -> dict[str, Any]:
        where = {"host": address.host, "port": address.port} if address.port else {"unix_socket_path": address.host}
        return {
            **self._options.connect,
            **where,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": self._connect_s,
            "socket_keepalive": True,
            "health_check_interval": 0,  # a call that is not answered in time says the same
        }

    async def close(self) -> None:
        """Let go of all of them."""
        for client in self._clients.values():
            await client.aclose()
        for blocking in self._blocking.values():
            blocking.close()


def closed_error(shown: str) -> InvalidCallError:
    """Return the error of a call to a store that was closed."""
    return InvalidCallError(f"the store {shown} is closed: open it anew")
