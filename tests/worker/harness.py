"""What the tests of the worker share: one client on a fresh store, and ways to wait for what happens outside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from durable import Client, Worker
from durable._clock import Clock, SystemClock
from durable.stores import open_store
from tests.virtual import clock_here

T = TypeVar("T")


@asynccontextmanager
async def connected(url: str = "memory:", *, clock: Clock | None = None, **options: Any) -> AsyncIterator[Client]:
    """Give a client on a fresh memory store, whose time is that of `clock`, or of the test."""
    async with open_store(url, clock=clock or clock_here()) as store:
        yield Client(store, **options)


def working(client: Client, **options: Any) -> Worker:
    """Return a worker whose time is that of its store."""
    return Worker(client, renew_in_thread=isinstance(client.store.clock, SystemClock), **options)


@asynccontextmanager
async def serving(
    *, workflows: Any = (), activities: Any = (), clock: Clock | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Run a worker on a fresh memory store, whose time is that of `clock`, or of the test; give its client."""
    async with connected(clock=clock) as client, working(client, workflows=workflows, activities=activities, **options):
        yield client


async def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Wait until `condition()` is true: for what other threads, processes and loggers do, who cannot set an event here."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.002)


async def until_async(look: Callable[[], Awaitable[T]], *, timeout_s: float = 20.0) -> T:
    """Return what `look` gives as soon as that is true: for what the store shows, and tells nobody of."""
    async with asyncio.timeout(timeout_s):
        while not (found := await look()):  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.002)
    return found


async def history_types(client: Client, workflow_id: str) -> list[str]:
    """Return the names of the events of a run."""
    return [type(recorded.event).__name__ for recorded in await client.handle(workflow_id).history()]


async def until_event(client: Client, workflow_id: str, name: str) -> None:
    """Wait until the history of a run has an event of that type."""

    async def has_it() -> bool:
        return name in await history_types(client, workflow_id)

    await until_async(has_it)


async def until_queued(client: Client) -> None:
    """Wait until the store holds a task."""

    async def count() -> int:
        return (await client.store.inspect.counts())["tasks"]

    await until_async(count)
