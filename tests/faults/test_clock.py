"""The server's clock is set back and forth: leases change hands at most early, never late; nothing is lost and nothing is there twice."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable.errors import StaleLeaseError
from durable.stores import open_store
from durable.stores._protocol import Append
from durable.testing.conformance._base import INBOX, P, applied, commit, lease_for, queued, task
from tests.faults.clocked_server import ClockedServer, built
from tests.faults.group import Group

HOUR_S = 3_600
TTL_MS = 300


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def server(library: Path, tmp_path: Path) -> Iterator[ClockedServer]:
    found = ClockedServer(library, tmp_path / "shift")
    yield found
    found.close()


async def test_the_clock_of_the_server_can_be_set(server: ClockedServer) -> None:
    """That is what the other tests here count on."""
    for shift_s in (0, HOUR_S, -HOUR_S, 0):
        server.shift(shift_s)
        assert abs(server.time_s() - time.time() - shift_s) < 10


async def test_a_clock_set_forward_ends_what_is_not_renewed(server: ClockedServer) -> None:
    """Leases and claims are free at once, and the one who had them is fenced out; a renewal takes nothing back."""
    async with open_store(server.url) as store:
        lease = await queued(store, task("t-1", claimed_by="s-1"), task("t-2", claimed_by="s-1"))
        server.shift(HOUR_S)
        assert await store.holders(INBOX) == {}
        other = await lease_for(store, "s-2")
        assert other.epoch > lease.epoch
        (claimed,) = await store.claim("s-2", "work", ["charge"], 1)
        assert claimed.task.id == "t-1"
        assert isinstance(await commit(store, lease, appends=[Append("h", 0, [b"1"])]), StaleLeaseError)
        renewal = await asyncio.to_thread(store.renew, "s-1", 5_000, [lease], ["t-1", "t-2"])
        assert (renewal.leases, renewal.tasks, renewal.session_expired) == ((lease,), ("t-1",), True)
        await applied(store, other, appends=[Append("h", 0, [b"1"])])
        assert abs(store.now_ms() / 1000 - server.time_s()) < 10


async def test_a_dead_session_does_not_live_on_when_the_clock_is_set_back(server: ClockedServer) -> None:
    """Whoever renews or begins brings its expiry back: it ends when it would have, not an hour later."""
    async with open_store(server.url) as store:
        server.shift(HOUR_S)
        await store.begin_session("dead", "group", b"", TTL_MS)
        await store.begin_session("patient", "group", b"", 100 * TTL_MS)
        await store.begin_session("alive", "group", b"", TTL_MS)
        await store.acquire("dead", INBOX, [P])
        await store.acquire("patient", INBOX, [P + 1])
        server.shift(0)
        assert await store.holders(INBOX) == {P: "dead", P + 1: "patient"}
        async with asyncio.timeout(20):
            while P in await store.holders(INBOX):
                renewal = await asyncio.to_thread(store.renew, "alive", TTL_MS, [], [])
                assert not renewal.session_expired
        assert [lease.partition for lease in await store.acquire("alive", INBOX, [P, P + 1])] == [P]
        server.shift(-HOUR_S)
        await store.begin_session("new", "group", b"", TTL_MS)
        server.shift(-HOUR_S + 60)
        assert await store.holders(INBOX) == {}


async def test_runs_go_on_while_the_clock_is_set(library: Path, tmp_path: Path) -> None:
    """An hour forward, two back, and forward again: every run ends right."""
    server = ClockedServer(library, tmp_path / "shift", "--appendonly", "yes")
    async with Group.begun(server) as group:
        for round_, shift_s in enumerate((HOUR_S, -HOUR_S, 60, 0)):
            numbers = range(4 * round_, 4 * round_ + 4)
            await group.start(numbers)
            server.shift(shift_s)
            for number in numbers:
                await group.signal(number)
        await group.check(range(16))
