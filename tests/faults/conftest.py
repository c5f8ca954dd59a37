"""Servers of a test's own, and the proxy in front of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer, server_binary


@pytest.fixture
def own_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """Yield a server that the test may kill; it has an append-only file."""
    server = RedisServer(server_binary(), "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.close()


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    """Yield a proxy in front of the shared server, which holds nothing."""
    async with Proxy(redis_server.socket) as found:
        yield found
