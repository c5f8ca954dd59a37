"""Sentinels, which know the primary of a service."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from redis.exceptions import ConnectionError, RedisError  # noqa: A004 - the name of redis-py

from ._clients import Address, Clients
from ._options import Options

_TIMEOUT_S = 2.0  # a sentinel has nothing to do but to answer; the next one is asked then


class Sentinels:
    """See `Finder`. The one that answered last is asked first."""

    def __init__(self, options: Options, addresses: Sequence[Address]) -> None:
        self._service, self._shown = options.service, options.shown
        self._clients = Clients(
            replace(options, connect=options.connect_sentinel), connect_s=_TIMEOUT_S, blocking_s=_TIMEOUT_S
        )
        self._addresses = list(addresses)
        self._lock = threading.Lock()

    async def find(self) -> Address:
        """Return the primary, as the first sentinel says that answers. Raises `ConnectionError` if none does."""
        failed: list[str] = []
        for address in list(self._addresses):
            client: Any = self._clients.at(address)
            try:
                found = await client.sentinel_get_master_addr_by_name(self._service)
            except (RedisError, OSError) as error:
                failed.append(f"{address}: {error}")
                self._ask_last(address)
            else:
                if found:
                    return _address(found)
                failed.append(f"{address}: it knows no service {self._service!r}")
        raise self._nobody(failed)

    def find_blocking(self) -> Address:
        """As `find`, from the thread that renews."""
        failed: list[str] = []
        for address in list(self._addresses):
            client: Any = self._clients.blocking(address)
            try:
                found = client.sentinel_get_master_addr_by_name(self._service)
            except (RedisError, OSError) as error:
                failed.append(f"{address}: {error}")
                self._ask_last(address)
            else:
                if found:
                    return _address(found)
                failed.append(f"{address}: it knows no service {self._service!r}")
        raise self._nobody(failed)

    def _ask_last(self, address: Address) -> None:
        with self._lock:
            self._addresses.remove(address)
            self._addresses.append(address)

    def _nobody(self, failed: Sequence[str]) -> ConnectionError:
        return ConnectionError(f"no sentinel names the primary of {self._service!r} ({'; '.join(failed)})")

    async def close(self) -> None:
        """See `Finder`."""
        await self._clients.close()


def _address(found: Any) -> Address:
    host, port = found
    return Address(host.decode() if isinstance(host, bytes) else host, int(port))
