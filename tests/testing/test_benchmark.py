"""What `durable bench` measures: each workload works on each store, and its floor writes what the workload wrote."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import redis

from durable import Client, Worker
from durable._clock import SystemClock
from durable.errors import StoreUrlError
from durable.history import WIRE, RunCompleted
from durable.stores import DocumentFilter, Store, open_store
from durable.testing.benchmark import IN_ONE_PROCESS, Line, lines_of, number, one_pass, place_of
from durable.testing.benchmark._bare_redis import BareRedis
from durable.testing.benchmark._bare_sqlite import BareSqlite
from durable.testing.benchmark._bench import Figure
from durable.testing.benchmark._calls import Calls, recording
from durable.testing.benchmark._costs import Costs
from durable.testing.benchmark._programs import ACTIVITIES, WORKFLOWS, chain, numbers, signalled
from tests.redis_server import RedisServer

CLOCK = SystemClock()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store that is not there."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_server").url)
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'mine.db'}?synchronous=normal"


@pytest.mark.parametrize("workload", IN_ONE_PROCESS, ids=lambda each: each.name)
def test_a_workload_gives_its_figures_and_leaves_nothing(
    workload: Any, url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = place_of(url, CLOCK)
    try:
        for part in workload.parts("tiny"):
            figures = one_pass(part, place, CLOCK)
            assert figures
            assert all(figure.value > 0 for figure in figures)
            first = figures[0]
            assert first.floor is not None
            assert first.floor > 0
            assert first.count > 0
            assert first.costs.cpu_s >= 0
    finally:
        place.close()
    if url.startswith("unix"):
        with redis.Redis.from_url(url) as client:
            assert list(client.scan_iter()) == []
    assert os.listdir(tmp_path) == []


async def _some_work(store: Store) -> None:
    """What the workloads do, all at once: chains, and runs that receive signals."""

    async def one(number: int) -> None:
        assert await client.execute(chain, id=f"chain-{number}")(3) == 3
        handle = await client.start(signalled, id=f"signalled-{number}")(2)
        await handle.signal(numbers, 1)
        await handle.signal(numbers, 2)
        assert await handle.result() == 3

    client = Client(store)
    async with Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        await asyncio.gather(*(one(number) for number in range(5)))


async def _content(store: Store) -> tuple[dict[str, int], dict[str, tuple[str, list[bytes]]]]:
    counts = await store.inspect.counts()
    kept = ("records", "documents", "inbox", "tasks", "dues", "outgoing")
    found = await store.inspect.documents(DocumentFilter(), limit=1_000)
    return {name: counts[name] for name in kept}, {
        document.id: (document.state, await store.read(partition, document.id)) for partition, document in found
    }


@pytest.mark.parametrize("singly", [False, True])
async def test_the_floor_on_sqlite_writes_what_the_store_wrote(singly: bool, tmp_path: Path) -> None:
    calls, bare_path = Calls(), tmp_path / "bare.db"
    async with open_store(f"sqlite:///{tmp_path / 'runs.db'}") as store:
        await _some_work(recording(store, calls))
        expected = await _content(store)
    async with open_store(f"sqlite:///{bare_path}"):
        pass
    kept = list[Path]()
    assert BareSqlite(lambda: bare_path, kept.append, "full", CLOCK.monotonic).seconds(calls, singly=singly) > 0
    assert kept == [bare_path]
    async with open_store(f"sqlite:///{bare_path}") as store:
        written = await _content(store)
    assert written == expected
    assert written[0] == {
        "records": 5 * 8 + 5 * 4,
        "documents": 10,
        "inbox": 0,
        "tasks": 0,
        "dues": 0,
        "outgoing": 0,
    }
    assert {state for state, _ in written[1].values()} == {"completed"}


@pytest.mark.parametrize("singly", [False, True])
async def test_the_floor_on_redis_writes_what_the_store_wrote(singly: bool, redis_server: RedisServer) -> None:
    calls = Calls()
    async with open_store(f"{redis_server.url}?namespace=engine&partitions=2") as store:
        await _some_work(recording(store, calls))
    with redis_server.client() as client:
        expected = _keys(client, b"{engine:")
        left = dict[str, Any]()
        bare = BareRedis(
            lambda: client.connection_pool.make_connection(), "floor", CLOCK.monotonic,
            lambda prefix: left.update(_keys(client, prefix.encode())),
        )  # fmt: skip
        assert bare.seconds(calls, singly=singly) > 0
    # What it leaves out: sessions, leases, counters of numbers.
    for name in ("tasks", "states", "held", "ready", "entries", "inbox:default", "replies"):
        assert left.get(name, 0) == expected.get(name, 0), name
    for name in ("documents", "bodies", "latest", "open", "by_id", "names"):
        assert left.get(name, 0) == expected.get(name, 0), name
    histories = {name: records for name, records in expected.items() if name.startswith("history:")}
    assert len(histories) == 10
    assert {name: left[name] for name in histories} == histories
    events = [type(WIRE.decode(record)) for record in next(iter(histories.values()))]
    assert RunCompleted in events


def _keys(client: Any, prefix: bytes) -> dict[str, Any]:
    """Return the sizes of all keys with this beginning, summed over the partitions; of histories what is in them."""
    found = dict[str, Any]()
    for key in client.scan_iter(prefix + b"*"):
        name = key.decode().partition("}:")[2]
        kind = client.type(key)
        if name.startswith("history:"):
            found[name] = client.lrange(key, 0, -1)
        else:
            size = {b"hash": client.hlen, b"zset": client.zcard, b"stream": client.xlen}[kind](key)
            found[name] = found.get(name, 0) + size
    return found


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+cluster://host:1", "makes a store of its own"),
        ("sqlite:///nowhere-at-all/x.db", "there is no folder 'nowhere-at-all'"),
        ("sqlite:x.db", "there is no folder|expected"),
        ("what", "no scheme"),
    ],
)
def test_a_store_of_which_no_second_one_can_be_made_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreUrlError, match=message):
        place_of(url, CLOCK)


def _figure(value: float, unit: str, floor: float | None, cpu_s: float) -> Figure:
    return Figure("", "p50", unit, value, 100, floor, Costs(cpu_s, None, 7, None))


def _line(*figures: Figure) -> Line:
    (line,) = lines_of("W4", "memory", [[figure] for figure in figures])
    return line


def test_a_line_has_the_medians_of_its_passes() -> None:
    line = _line(_figure(10, "x/s", 40, 1), _figure(30, "x/s", 50, 3), _figure(20, "x/s", 60, 2))
    assert (line.value, line.low, line.high, line.floor, line.passes) == (20, 10, 30, 50, 3)
    assert line.ratio == pytest.approx(1 / 3)
    assert (line.shown_ratio, line.shown_cpu) == ("33%", "20,000")
    assert (line.cpu_s, line.server_cpu_s, line.written_bytes, line.peak_bytes) == (2, None, 7, None)


def test_a_latency_is_so_many_times_its_floor() -> None:
    assert _line(_figure(6, "ms", 2, 1)).shown_ratio == "3.0x"
    assert _line(_figure(6, "ms", None, 1)).shown_ratio == ""


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (12_345.6, 123.4, 12.34, 1.234, 0.001, None)] == [
        "12,346", "123", "12.3", "1.23", "0.00", "",
    ]  # fmt: skip
