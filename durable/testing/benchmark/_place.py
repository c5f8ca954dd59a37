"""Where a benchmark writes: stores that are made for it beside those of the user, and are gone afterwards."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from ..._clock import Clock
from ...stores import _url, open_store
from ._bare import Bare, BareMemory
from ._bare_sqlite import BareSqlite
from ._costs import Server, no_server


class Place(Protocol):
    """A kind of store, on a certain disk or server."""

    @property
    def bare(self) -> Bare | None:
        """What writes the floor; None if there is nothing to compare with."""
        ...

    def fresh(self) -> AbstractAsyncContextManager[str]:
        """Give the URL of a store that nobody has used; what was written there is removed at the end."""
        ...

    def server(self) -> Server:
        """Return what its server has used so far; nothing if there is none, or it does not tell."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def place_of(url: str, clock: Clock) -> Place:
    """Return the place of the store at `url`, which itself is left alone: a new file in the same folder, a new namespace on the same server.

    Raises `StoreUrlError` for a URL that is not understood, and for a store of which no second one can be made.
    """
    parsed = _url.parse(url)
    if parsed.scheme == "memory":
        return _Memory(clock)
    if parsed.scheme == "sqlite":
        return _File(parsed, clock)
    if parsed.scheme in ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel"):
        from ._place_redis import RedisPlace

        return RedisPlace(url, parsed, clock)
    raise parsed.refuse(
        "a benchmark makes a store of its own beside this one, which is known for memory, SQLite, a server of Redis or Valkey, and Sentinel"
    )


class _Memory:
    def __init__(self, clock: Clock) -> None:
        self.bare: Bare | None = BareMemory(clock.monotonic)

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[str]:
        """See `Place`."""
        yield "memory:"

    def server(self) -> Server:
        """See `Place`."""
        return no_server()

    def close(self) -> None:
        """See `Place`."""


class _File:
    """New files in the folder of the one that the URL names, with its options."""

    def __init__(self, parsed: _url.StoreUrl, clock: Clock) -> None:
        path = Path(parsed.rest.removeprefix("///"))
        if not parsed.rest.startswith("///") or not path.parent.is_dir():
            raise parsed.refuse(f"there is no folder {str(path.parent)!r}: make it first")
        self._path, self._options, self._clock = path, parsed.options, clock
        synchronous = parsed.options.get("synchronous", "full")
        self.bare: Bare | None = BareSqlite(self._empty, _remove, synchronous, clock.monotonic)

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[str]:
        """See `Place`."""
        path = self._new_path()
        try:
            yield url_of("sqlite", f"///{path}", self._options)
        finally:
            _remove(path)

    def _new_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.benchmark-{self._clock.new_id()}")

    def _empty(self) -> Path:
        """Make a file with the tables of the store. The floor is written outside of any event loop."""
        path = self._new_path()

        async def make() -> None:
            async with open_store(url_of("sqlite", f"///{path}", self._options)):
                pass

        asyncio.run(make())
        return path

    def server(self) -> Server:
        """See `Place`."""
        return no_server()

    def close(self) -> None:
        """See `Place`."""


def url_of(scheme: str, rest: str, options: Mapping[str, Any]) -> str:
    """Return a URL from its parts."""
    return f"{scheme}:{rest}" + (f"?{urlencode(options)}" if options else "")


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{end}")
