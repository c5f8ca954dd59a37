"""Workers and clients outlast what a server goes through: no hot loop meanwhile, and afterwards nothing is lost or there twice."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from durable import Client, RetryPolicy, Signal, Worker, activity, sleep, workflow
from durable.errors import StoreError
from durable.history import ActivityCompleted, ChildCompleted, SignalReceived, TimerFired
from durable.stores.redis import _clients, _watch
from tests.faults import server_faults as faults
from tests.faults.proxy import Proxy
from tests.faults.scripts import load_all
from tests.redis_server import RedisServer, server_binary

note = Signal("note", int)
RETRY = RetryPolicy(initial_interval=0.05, max_attempts=None)
LEASE_S = 1.0
OUTAGE_S = 1.5 * LEASE_S
ASKED_A_SECOND_MAX = (
    250  # requests and connections of two workers and a client that have work; a hot loop makes thousands
)


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
    async def begun(cls) -> AsyncIterator["Group"]:
        server = RedisServer(server_binary(), "--appendonly", "yes", "--appendfsync", "always")
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


async def _outlasts(fault: faults.Fault) -> None:
    async with Group.begun() as group:
        proxy, clock = group.proxy, group.client.store.clock
        await group.start(range(6))
        async with fault(group.server, proxy):
            began_s, before = clock.monotonic(), proxy.requests + proxy.connections
            waiting = asyncio.create_task(group.signal(0))
            await clock.sleep(OUTAGE_S)  # that is what an outage is
            asked = (proxy.requests + proxy.connections - before) / (clock.monotonic() - began_s)
        assert asked < ASKED_A_SECOND_MAX
        await waiting
        await group.start(range(6, 8))
        for number in range(1, 8):
            await group.signal(number)
        await group.check(range(8))


async def _all_outlast(caplog: pytest.LogCaptureFixture, *all_faults: faults.Fault) -> None:
    """Each fault befalls a server of its own, all at once: mostly they wait."""
    with caplog.at_level(logging.INFO, "durable"):
        outcomes = await asyncio.gather(*map(_outlasts, all_faults), return_exceptions=True)
    for fault, outcome in zip(all_faults, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise AssertionError(f"{fault.__name__}: {outcome!r}") from outcome
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []  # nothing that nobody foresaw


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer take as long as a test has patience for, and notifications be missed as soon."""
    monkeypatch.setattr(_clients, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(_watch, "PING_S", 0.5)


async def test_a_server_that_refuses_is_outlasted(caplog: pytest.LogCaptureFixture) -> None:
    """`OOM`, `READONLY`, `BUSY`, `LOADING`, `MISCONF`, `NOREPLICAS`, `NOPERM`, `NOSCRIPT`."""
    await _all_outlast(
        caplog, faults.full, faults.demoted, faults.busy, faults.loading, faults.unable_to_save, faults.short_of_replicas,
        faults.forbidden, faults.forgetful,
    )  # fmt: skip


async def test_a_server_that_cannot_be_reached_is_outlasted(caplog: pytest.LogCaptureFixture) -> None:
    """Dead and back, frozen, cut off, slow, behind connections that are half-open, or lose an answer now and then."""
    await _all_outlast(
        caplog, faults.killed, faults.frozen, faults.unreachable, faults.slow, faults.half_open, faults.lossy
    )
