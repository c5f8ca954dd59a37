"""Replicas: what a write waits for, and what workers do when one takes over that never got the last writes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from durable.errors import StoreUnavailableError
from durable.stores import Store, open_store
from durable.stores._protocol import Append
from durable.stores.redis import _node
from durable.telemetry import _metrics
from durable.testing.conformance._base import P, applied, commit_of, contents, document, entry, lease_for
from tests.faults.group import Group
from tests.faults.server_faults import ask
from tests.redis_cluster import free_port, until
from tests.redis_server import RedisServer, server_binary

QUICKLY_MS = 100


class Pair:
    """A primary and its replica."""

    def __init__(self) -> None:
        self._port = free_port()
        self.primary = RedisServer(
            server_binary(), "--port", str(self._port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"
        )
        self.replica = RedisServer(server_binary())
        self.join()

    def join(self) -> None:
        """Let the replica follow the primary."""
        ask(self.replica, "REPLICAOF", "127.0.0.1", self._port)
        until(lambda: b"state=online" in ask(self.primary, "INFO", "replication"), "the primary has its replica")

    def catch_up(self) -> None:
        """Wait until the replica has all."""
        until(lambda: ask(self.replica, "ROLE")[4] == ask(self.primary, "ROLE")[1], "the replica has caught up")

    def cut_off(self) -> None:
        """Let the replica get nothing from now on."""
        ask(self.replica, "REPLICAOF", "127.0.0.1", "1")

    def promote(self) -> None:
        """Kill the primary, and let the replica take its place."""
        self.primary.kill()
        ask(self.replica, "REPLICAOF", "NO", "ONE")

    def close(self) -> None:
        self.primary.close()
        self.replica.close()


@pytest.fixture
def pair(redis_process: RedisServer) -> Iterator[Pair]:
    found = Pair()
    yield found
    found.close()


@pytest.fixture
async def waiting(pair: Pair) -> AsyncIterator[Store]:
    """Yield a store on the pair whose writes wait for one replica."""
    async with open_store(f"{pair.primary.url}?wait_replicas=1") as store:
        yield store


async def test_what_is_acknowledged_is_on_the_replica(waiting: Store, pair: Pair) -> None:
    """`wait_replicas=1`: it can take over at once, and nothing is missing."""
    lease = await lease_for(waiting)
    await waiting.create(P, document(), [entry()])
    await applied(waiting, lease, appends=[Append("history", 0, [b"1"])])
    expected = await contents(waiting)
    pair.promote()
    async with open_store(pair.replica.url) as store:
        assert await contents(store) == expected


async def test_without_enough_replicas_the_outcome_is_unknown(
    waiting: Store, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how many have the write. A repeat waits again, and is acknowledged once a replica has what the first try wrote."""
    lease = await lease_for(waiting)
    pair.cut_off()
    until(lambda: ask(pair.primary, "ROLE")[2] == [], "the primary has no replica")
    monkeypatch.setattr(_node, "REPLICA_WAIT_MS", QUICKLY_MS)
    sent = commit_of(lease, follows="", appends=[Append("history", 0, [b"1"])])
    for _ in range(2):
        with pytest.raises(
            StoreUnavailableError, match=rf"0 of 1 replicas had the write after {QUICKLY_MS} ms; .*unknown"
        ):
            await waiting.commit([sent])
    with pytest.raises(StoreUnavailableError, match="0 of 1 replicas"):
        await waiting.create(P, document(), [entry()])
    assert await waiting.read(P, "history") == [b"1"]  # reads wait for nobody
    monkeypatch.undo()
    await asyncio.to_thread(pair.join)
    assert await waiting.commit([sent]) == [None]
    assert (await waiting.create(P, document(), [entry()])).id == "d-01"
    assert await waiting.read(P, "history") == [b"1"]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Yield what reads the count of losses."""
    found = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[found])
    counter = provider.get_meter("durable").create_counter("durable.store.went_back")
    monkeypatch.setattr(_metrics, "_went_back", counter)
    yield found
    provider.shutdown()


def _counted(reader: InMemoryMetricReader) -> int:
    data = reader.get_metrics_data()
    if data is None:
        return 0
    return sum(
        int(point.value)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    )


async def test_workers_notice_that_the_heir_lacks_the_last_writes(
    pair: Pair, reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    """They say so, count it, and go on from what is there: no history forks, and what is sent again is taken once."""
    async with Group.begun(pair.primary) as group:
        await group.start(range(4))
        await group.signal(0)
        await group.check(range(1))
        await asyncio.to_thread(pair.catch_up)
        pair.cut_off()
        for number in range(1, 3):
            await group.signal(number)
        await group.check(range(1, 3))
        await group.start(range(4, 5))
        assert _counted(reader) == 0
        with caplog.at_level(logging.ERROR, "durable"):
            await asyncio.to_thread(pair.promote)
            group.proxy.path = pair.replica.socket
            group.proxy.cut()
            await group.start(range(4, 5))  # what was acknowledged and is lost, callers send again
            for number in range(1, 5):
                await group.signal(number)
            await group.check(range(5))
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert told != []
        assert all("the store fell back to an earlier state, in partition" in text for text in told)
        assert _counted(reader) == len(told)
