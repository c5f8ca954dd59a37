"""The store as a `TestEnvironment`'s client sees it: its waits are noticed, and may be ended by an error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from .._ids import queue_of
from ..stores import Document, Entry, Store, Watch
from ..stores._watch import TopicWatch
from ._environment_time import TimeKeeper, Waiter


class Host(Protocol):
    """What the store asks of the environment."""

    @property
    def keeper(self) -> TimeKeeper | None:
        """Who lets time pass; None if that is real."""
        ...

    async def serve(self, queue: str) -> None:
        """See that `queue` has a worker."""
        ...

    async def check(self, waiter: Waiter) -> None:
        """Fail `waiter` if what it waits for cannot come. Asked now and then while time is real."""
        ...


class OutsideStore:
    """A `Store` that passes everything on to another one. See the module."""

    def __init__(self, store: Store, host: Host) -> None:
        self._store, self._host = store, host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`. The run's queue has a worker from now on."""
        await self._host.serve(queue_of(document.inbox))
        return await self._store.create(partition, document, entries, latest=latest)

    def watch(self, topics: Iterable[str]) -> Watch:
        """See `Store`."""
        wanted = tuple(topics)
        return _OutsideWatch(self._store.watch(wanted), wanted, self._host)


def outside(store: Store, host: Host) -> Store:
    """Return `store` as the client of `host` sees it."""
    return cast(Store, OutsideStore(store, host))


class _OutsideWatch:
    def __init__(self, inner: Watch, topics: tuple[str, ...], host: Host) -> None:
        self._inner, self._host = inner, host
        self._waiter = Waiter(topics, inner.event if isinstance(inner, TopicWatch) else asyncio.Event())

    async def wait(self, timeout_s: float | None) -> bool:
        """See `Watch`. Raises what the environment says."""
        waiter, keeper = self._waiter, self._host.keeper
        if keeper is None:
            touched = await self._inner.wait(timeout_s)
            await self._host.check(waiter)
        else:
            with keeper.waiting(waiter):
                touched = await self._inner.wait(timeout_s)
        if waiter.error is not None:
            error, waiter.error = waiter.error, None
            raise error
        return touched

    def close(self) -> None:
        """See `Watch`."""
        self._inner.close()
