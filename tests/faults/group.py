"""A server of its own for a test, and workers that reach it by a proxy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from durable import Client, RetryPolicy, Signal, Worker, activity, sleep, workflow
from durable.errors import StoreError
from durable.history import ActivityCompleted, ChildCompleted, SignalReceived, TimerFired
from tests.faults.proxy import Proxy
from tests.faults.scripts import load_all
from tests.redis_server import RedisServer, server_binary

note = Signal("note", int)
RETRY = RetryPolicy(initial_interval=0.05, max_attempts=None)
LEASE_S = 1.0


@activity(retry=RETRY)
async def add(left: int, right: int) -> int:
    return left + right


@workflow
async def doubled(number: int) -> int:
    return await add(number, number)


@workflow
async def adding(number: int) -> int:
    total = await add(number, 1)
    await sleep(0.05)
    total = await add(total, await doubled(number))
    total = await add(total, await note.receive())
    return await add(total, 1)


class Group:
    """A server of its own, and workers and a client that reach it by a proxy: one that has an engine, and one for activities alone."""

    def __init__(self, server: RedisServer, proxy: Proxy, client: Client) -> None:
        self.server, self.proxy, self.client = server, proxy, client

    @classmethod
    @asynccontextmanager
    async def begun(cls, server: RedisServer | None = None) -> AsyncIterator["Group"]:
        server = server or RedisServer(server_binary(), "--appendonly", "yes", "--appendfsync", "always")
        try:
            async with (
                Proxy(server.socket) as proxy,
                Client.connect(f"{proxy.url}?partitions=4") as client,
                Client.connect(proxy.url) as other,
                Worker(client, workflows=[adding, doubled], lease_ttl=LEASE_S, grace=1),
                Worker(other, activities=[add], lease_ttl=LEASE_S, grace=1),
            ):
                load_all(server)
                yield cls(server, proxy, client)
        finally:
            server.resume()
            server.close()

    async def start(self, numbers: range) -> None:
        for number in numbers:
            await self.client.start(adding, id=f"run-{number}")(number)

    async def signal(self, number: int) -> None:
        handle = self.client.handle(f"run-{number}", workflow=adding)
        await insist(lambda: handle.signal(note, 100, request_id=f"note-{number}"))

    async def check(self, numbers: range) -> None:
        """Every run ends with the right result, and each thing that happened is in its history once."""
        for number in numbers:
            handle = self.client.handle(f"run-{number}", workflow=adding)
            assert await insist(lambda handle=handle: handle.result(timeout=30)) == 3 * number + 102  # type: ignore[misc]
            events = [each.event for each in await insist(handle.history)]
            for kind, count in ((ActivityCompleted, 4), (SignalReceived, 1), (TimerFired, 1), (ChildCompleted, 1)):
                assert sum(isinstance(event, kind) for event in events) == count
            done = [event.id for event in events if isinstance(event, ActivityCompleted)]
            assert len(set(done)) == len(done)


async def insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call that is safe to repeat until the store takes it."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await call()
            except StoreError:
                await asyncio.sleep(0.1)
