"""A worker removes closed runs that are old enough, and archives them before."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from durable import ArchivedRun, Client, FolderArchive, Signal, Worker, workflow
from durable._duration import seconds
from durable.author import Workflow
from durable.stores import open_store
from durable.testing import replay_files
from durable.testing._clock import ManualClock
from durable.worker._retention import Retention
from tests.worker.harness import until_async

go = Signal("go")


@workflow
async def usual(n: int) -> int:
    return n


@workflow(retention="1 hour")
async def short(n: int) -> int:
    return n


@workflow(retention="forever")
async def kept(n: int) -> int:
    return n


@workflow
async def waits() -> None:
    await go.receive()


EVERY: list[Workflow[..., Any]] = [usual, short, kept, waits]


async def names(client: Client) -> list[str]:
    return sorted(run.workflow_id for run in await client.list(limit=1_000))


class Rounds:
    """A worker, whose rounds of removal a test makes itself: time passes by its clock."""

    def __init__(self, client: Client, worker: Worker, clock: ManualClock) -> None:
        assert worker._life is not None
        life = worker._life
        for task, name in life._background._tasks.items():
            if name == "retention":
                task.cancel()  # its own rounds
        self.client, self.clock = client, clock
        self.retention = Retention(client.store, life.session, worker._settings, life._engines.leases)

    async def after(self, duration: str) -> None:
        """Let time pass, in steps that cost no lease, and make a round."""
        left_s = seconds(duration)
        if left_s:
            self.clock.advance(left_s)
        await asyncio.sleep(0)
        sweeping = asyncio.ensure_future(self.retention.round())
        while not sweeping.done():
            self.clock.advance(0.02)
            await asyncio.sleep(0)
        await sweeping


async def serve(url: str, clock: ManualClock, **options: Any) -> tuple[Client, Worker]:
    store = await open_store(url, clock=clock, partitions=2)
    client = Client(store)
    return client, Worker(client, workflows=EVERY, lease_ttl="1000 days", renew_in_thread=False, **options)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_runs_go_when_their_workflow_or_their_worker_says(kind: str, tmp_path: Path) -> None:
    """Each by its own age; what is kept for ever, or open, stays, and so does what is too young.

    The margins are wide: while SQLite works, the clock of the rounds goes on.
    """
    clock = ManualClock()
    url = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/s.db?synchronous=normal"
    client, worker = await serve(url, clock, retention="1 day")
    async with client, worker:
        rounds = Rounds(client, worker, clock)
        await client.start(waits, id="open")()
        for each in (usual, short, kept):
            for n in range(3):
                await client.execute(each, id=f"{each.name}-{n}")(n)
        await rounds.after("20 min")
        assert len(await names(client)) == 10
        await rounds.after("45 min")
        assert await names(client) == ["kept-0", "kept-1", "kept-2", "open", "usual-0", "usual-1", "usual-2"]
        await rounds.after("12 h")
        assert len(await names(client)) == 7
        await rounds.after("12 h")
        assert await names(client) == ["kept-0", "kept-1", "kept-2", "open"]
        await rounds.after("900 days")
        assert await names(client) == ["kept-0", "kept-1", "kept-2", "open"]


async def test_by_default_everything_is_kept() -> None:
    """But what says otherwise itself."""
    clock = ManualClock()
    client, worker = await serve("memory:", clock)
    async with client, worker:
        rounds = Rounds(client, worker, clock)
        for each in (usual, short):
            await client.execute(each, id=each.name)(1)
        await rounds.after("900 days")
        assert await names(client) == ["usual"]


async def test_runs_that_this_worker_does_not_serve_are_left_alone() -> None:
    """Of another queue, or of a workflow that it does not know."""
    clock = ManualClock()
    client, worker = await serve("memory:", clock, retention="1 h")
    async with client:
        async with Worker(client, workflows=[usual], queue="other", lease_ttl="1000 days", renew_in_thread=False):
            await client.execute(usual, id="elsewhere", queue="other")(1)
        async with worker:
            rounds = Rounds(client, worker, clock)
            await client.execute(usual, id="here")(1)
            await rounds.after("2 h")
            assert await names(client) == ["elsewhere"]


async def test_an_archive_that_fails_is_tried_again_with_growing_pauses() -> None:
    """The run stays until it is written; the others go on; and an archive that is down is not hammered."""
    clock = ManualClock()
    calls: list[str] = []
    broken = True

    def archive(run: ArchivedRun) -> None:
        calls.append(run.workflow_id)
        if broken:
            raise OSError("disk full")

    client, worker = await serve("memory:", clock, retention="1 h", archive=archive)
    async with client, worker:
        rounds = Rounds(client, worker, clock)
        for n in range(20):
            await client.execute(usual, id=f"u-{n}")(n)
        await rounds.after("2 h")
        assert len(calls) == 2 * 3  # in each partition, three in a row
        await rounds.after("1 s")
        assert len(calls) == 2 * 3
        await rounds.after("5 s")
        assert len(calls) == 4 * 3
        await rounds.after("6 s")
        assert len(calls) == 4 * 3
        await rounds.after("5 s")
        assert len(calls) == 6 * 3
        broken = False
        await rounds.after("1 h")
        assert await names(client) == []
        assert set(calls[18:]) == {f"u-{n}" for n in range(20)}


async def test_a_worker_does_it_by_itself(tmp_path: Path) -> None:
    """In the background, to compressed files that can be replayed."""
    async with (
        Client.connect(f"sqlite:///{tmp_path}/store.db?synchronous=normal") as client,
        Worker(client, workflows=EVERY, retention="100 ms", archive=FolderArchive(tmp_path / "old", compress=True)),
    ):
        await asyncio.gather(*(client.execute(usual, id=f"u-{n}")(n) for n in range(30)))

        async def all_gone() -> bool:
            return await names(client) == []

        await until_async(all_gone)
        assert (await client.store.inspect.counts())["records"] == 0
    results = replay_files([usual], [tmp_path / "old"])
    assert len(results) == 30
    assert all(result.ok for result in results)


@pytest.mark.parametrize("bad", [0, -1, "soon", True, "0 s"])
def test_a_retention_that_makes_no_sense_is_refused(bad: Any) -> None:
    """By the worker and by the decorator."""
    with pytest.raises((ValueError, TypeError), match="retention"):
        workflow(retention=bad)(usual.fn)


async def test_a_worker_refuses_a_bad_retention_and_archive() -> None:
    """Before it begins."""
    async with Client.connect("memory:") as client:
        with pytest.raises(ValueError, match="retention"):
            Worker(client, workflows=EVERY, retention="soon")
        with pytest.raises(ValueError, match="archive"):
            Worker(client, workflows=EVERY, archive="s3://bucket")
