"""What the tests of the worker share: one client on a fresh store, and ways to wait for what happens outside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from durable import Client, Worker


@asynccontextmanager
async def serving(*, workflows: Any = (), activities: Any = (), **options: Any) -> AsyncIterator[Client]:
    """Run a worker on a fresh memory store and give its client."""
    async with (
        Client.connect("memory:") as client,
        Worker(client, workflows=workflows, activities=activities, **options),
    ):
        yield client


async def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Wait until `condition()` is true: for what other threads and processes do, who cannot set an event here."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


async def history_types(client: Client, workflow_id: str) -> list[str]:
    """Return the names of the events of a run."""
    return [type(recorded.event).__name__ for recorded in await client.handle(workflow_id).history()]
