"""A benchmark's place on a server of Redis or Valkey: namespaces that are made and removed."""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

from ..._clock import Clock
from ...stores._url import StoreUrl
from ...stores.redis._clients import Address, Clients
from ...stores.redis._options import Options, options_of
from ...stores.redis._sentinel import Sentinels
from ...stores.redis._single import Finder, Fixed
from ._bare import Bare
from ._bare_redis import BareRedis
from ._costs import Server, no_server
from ._place import url_of

_REMOVED_AT_ONCE = 1_000


class RedisPlace:
    """See `Place`."""

    def __init__(self, url: str, parsed: StoreUrl, clock: Clock) -> None:
        self._url, self._options, self._clock = url, parsed.options, clock
        options = options_of(url, parsed, None)
        self._finder: Finder = _finder(options)
        self._clients = Clients(options)
        self._name = f"benchmark-{clock.new_id()}"
        self.bare: Bare | None = BareRedis(self._connected, self._name, clock.monotonic, self._remove)

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[str]:
        """See `Place`."""
        name = f"{self._name}-{self._clock.new_id()}"
        parts = urlsplit(self._url)
        scheme, _, rest = urlunsplit(parts._replace(query="")).partition(":")
        try:
            yield url_of(scheme, rest, {**self._options, "namespace": name})
        finally:
            self._remove(f"{{{name}:")

    def server(self) -> Server:
        """See `Place`."""
        try:
            told: dict[str, Any] = self._client().info()
        except redis.ResponseError:  # the user may not ask
            return no_server()
        cpu_s = float(told.get("used_cpu_sys", 0)) + float(told.get("used_cpu_user", 0))
        return Server(cpu_s, told.get("aof_current_size"), told.get("used_memory"))

    def close(self) -> None:
        """See `Place`."""
        self._client().close()

    def _connected(self) -> Any:
        return self._clients.connected_blocking(self._finder.find_blocking())

    def _client(self) -> Any:
        return self._clients.blocking(self._finder.find_blocking())

    def _remove(self, prefix: str) -> None:
        """Remove all keys that begin with `prefix`."""
        client = self._client()
        found = list[bytes]()
        with contextlib.suppress(redis.ConnectionError):  # whatever failed before says so itself
            for key in client.scan_iter(f"{prefix}*", count=_REMOVED_AT_ONCE):
                found.append(key)
                if len(found) >= _REMOVED_AT_ONCE:
                    client.unlink(*found)
                    found.clear()
            if found:
                client.unlink(*found)


def _finder(options: Options) -> Finder:
    addresses = [Address(*each) for each in options.addresses]
    return Sentinels(options, addresses) if options.kind == "sentinel" else Fixed(addresses[0])
