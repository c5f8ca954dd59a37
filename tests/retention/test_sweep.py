"""Closed runs that are old enough go, with all that belongs to them; what is needed stays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from durable._retention import SWEEP_INBOX, ArchivedRun, FolderArchive, Sweep, archived_run
from durable.author import Signal, Workflow, activity, continue_as_new, proxy, sleep, start_child, workflow
from durable.client import Client
from durable.errors import RequestTimeoutError, RunNotFoundError
from durable.stores import Commit, Lease, Store
from durable.testing import assert_replays, replay_files
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore
from tests.scenario_store import STORES, scenario_url

go = Signal("go", str)
DAY_MS = 86_400_000


@activity
async def double(n: int) -> int:
    return 2 * n


@workflow
async def plain(n: int) -> int:
    return await double(n)


@workflow
async def fails() -> None:
    raise ValueError("no")


@workflow
async def waits() -> str:
    return await go.receive()


@workflow
async def counts_down(n: int) -> str:
    if n:
        await sleep("1 day")
        continue_as_new(n - 1)
    return await go.receive()


@workflow
async def child(n: int) -> int:
    return n


@workflow
async def parent(wait: str) -> int:
    handle = await start_child(child, id="kid", parent_close="abandon")(7)
    if wait == "before":
        await go.receive()
    result = await handle
    if wait == "after":
        await go.receive()
    return result


@workflow
async def far_parent() -> str:
    return await proxy(waits, id="kid", queue="kids", parent_close="abandon")()


@workflow
async def fails_beside_a_child() -> str:
    kid = await start_child(waits, id="kid", parent_close="abandon")()
    if kid.workflow_id:
        raise ValueError("too early")
    return await kid


ALL: list[Workflow[..., Any]] = [far_parent, fails_beside_a_child, plain, fails, waits, counts_down, child, parent]


@pytest.fixture(params=STORES)
async def env(request: pytest.FixtureRequest) -> AsyncIterator[Engines]:
    async with engines(scenario_url(request.param)) as made:
        await made.begin(ALL, [double])
        yield made


async def prune(env: Engines, older_than: str = "1 hour", **options: Any) -> Any:
    return await env.drive(env.client.prune(older_than=older_than, **options))


async def run(env: Engines, what: Workflow[..., Any], *args: Any, id: str) -> Any:
    handle = await env.client.start(what, id=id)(*args)
    return await env.drive(handle.result())


async def test_old_closed_runs_go_with_everything(env: Engines) -> None:
    """Record, attributes and history; nothing is left but what is younger, and what is open."""
    empty = await env.store.inspect.counts()
    for n in range(12):
        assert await run(env, plain, n, id=f"p-{n}") == 2 * n
    await env.advance("2 hours")
    still_open = await env.client.start(waits, id="w")()
    await run(env, plain, 1, id="young")
    pruned = await prune(env)
    assert (pruned.runs, pruned.by_workflow, pruned.failed, pruned.needed, pruned.busy) == (12, {"plain": 12}, 0, 0, 0)
    assert pruned.events == 12 * 4
    assert {each.workflow_id for each in await env.client.list()} == {"young", "w"}
    await env.advance("2 hours")
    await prune(env)
    assert [each.workflow_id for each in await env.client.list()] == ["w"]
    await still_open.signal(go, "on")
    assert await env.drive(still_open.result()) == "on"
    assert_replays(waits, await still_open.history())
    await env.advance("2 hours")
    await prune(env)
    counts = await env.store.inspect.counts()
    assert {**counts, "sessions": 0, "leases": 0, "replies": 0} == {**empty, "sessions": 0, "leases": 0, "replies": 0}


async def test_a_dry_run_counts_and_removes_nothing(env: Engines) -> None:
    """And calls no archive."""
    await run(env, plain, 1, id="p")
    await env.advance("2 hours")
    archived: list[ArchivedRun] = []
    pruned = await prune(env, dry_run=True, archive=archived.append)
    assert (pruned.runs, pruned.events, archived) == (1, 4, [])
    assert len(await env.client.list()) == 1


async def test_only_what_is_asked_for_goes(env: Engines) -> None:
    """By workflow, and by status."""
    await run(env, plain, 1, id="p")
    with pytest.raises(Exception, match="no"):
        await run(env, fails, id="f")
    await env.advance("2 hours")
    assert (await prune(env, workflow="plain", status="failed")).runs == 0
    assert (await prune(env, status=["failed"])).by_workflow == {"fails": 1}
    assert (await prune(env, workflow=plain)).by_workflow == {"plain": 1}
    for bad in ({"status": "running"}, {"status": "gone"}, {"older_than": "soon"}, {"older_than": -1}):
        with pytest.raises(ValueError, match=r"status|older_than"):
            await env.client.prune(**{"older_than": 1, **bad})  # type: ignore[arg-type]


async def test_a_handle_of_a_run_that_is_gone_says_so(env: Engines) -> None:
    """And the workflow id is free for any use again."""
    handle = await env.client.start(plain, id="p")(1)
    await env.drive(handle.result())
    await env.advance("2 hours")
    await prune(env)
    for call in (handle.result, handle.describe, handle.history, lambda: handle.signal(go, "x"), handle.cancel):
        with pytest.raises(RunNotFoundError, match="'p'"):
            await env.drive(call())
    again = await env.client.start(plain, id="p")(2)
    assert await env.drive(again.result()) == 4


# --- children, chains


async def test_a_child_stays_until_its_parent_has_recorded_its_end(env: Engines) -> None:
    """Its end is on its way: here the parent's partition has no owner for as long."""
    handle = await env.client.start(parent, id="p")("after")
    await env.until(lambda: _has(env, "p", "ChildCompleted"))
    await env.advance("2 hours")
    assert (await prune(env)).by_workflow == {"child": 1}
    await handle.signal(go, "on")
    assert await env.drive(handle.result()) == 7
    assert_replays(parent, await handle.history())


async def test_a_child_whose_end_the_parent_has_not_recorded_is_needed(env: Engines) -> None:
    """Here nobody owns the parent's partitions for hours: the end of its child waits there in the inbox."""
    (first,) = env.live
    await env.begin([waits], queue="kids")
    handle = await env.client.start(far_parent, id="p")()
    await env.until(lambda: _has(env, "p", "ChildStarted"))
    await env.kill(first)
    await env.client.handle("kid").signal(go, "7")
    await env.drive(env.client.handle("kid").result())
    await env.advance("2 hours")
    pruned = await prune(env)
    assert (pruned.runs, pruned.needed) == (0, 1)
    await env.begin(ALL, [double])
    assert await env.drive(handle.result()) == "7"
    await env.advance("2 hours")
    assert (await prune(env)).by_workflow == {"far_parent": 1, "waits": 1}


async def test_a_failed_parent_that_may_be_retried_needs_its_child(env: Engines) -> None:
    """It asks how the child ended once it is reopened; when it is gone itself, or has ended for good, the child goes."""
    handle = await env.client.start(fails_beside_a_child, id="p")()
    with pytest.raises(Exception, match="too early"):
        await env.drive(handle.result())
    await env.client.handle("kid").signal(go, "on")
    await env.drive(env.client.handle("kid").result())
    await env.advance("2 hours")
    assert (await prune(env, workflow="waits")).needed == 1
    assert (await prune(env, workflow="fails_beside_a_child")).runs == 1
    assert (await prune(env, workflow="waits")).runs == 1


async def _has(env: Engines, workflow_id: str, event: str) -> bool:
    return event in await env.tags(workflow_id)


async def test_runs_of_a_chain_go_at_their_own_age(env: Engines) -> None:
    """A handle of the first run follows the chain all the same: for its result, signals and cancellations."""
    first = await env.client.start(counts_down, id="chain")(3)
    await env.advance("4 days")
    for _ in range(8):
        await env.advance("12 hours")
    assert len(await env.client.list()) == 4
    await env.advance("2 hours")
    assert (await prune(env, "1 hour")).by_workflow == {"counts_down": 3}
    with pytest.raises(RunNotFoundError):
        await first.describe()
    late = env.client.handle("chain", first.run_id)
    await late.signal(go, "through")
    assert await env.drive(late.result()) == "through"
    assert await env.drive(first.result()) == "through"


# --- the archive


async def test_each_history_is_archived_before_it_goes(env: Engines, tmp_path: Path) -> None:
    """As files that `replay_files` reads, plain and compressed; with a function, the run itself."""
    seen: list[ArchivedRun] = []
    for number, archive in enumerate([str(tmp_path / "0"), f"file://{tmp_path}/1?compress=gzip", seen.append]):
        for n in range(3):
            await run(env, plain, n, id=f"a/{number} {n}")
        await env.advance("2 hours")
        assert (await prune(env, archive=archive)).runs == 3
    assert {run.workflow_id for run in seen} == {f"a/2 {n}" for n in range(3)}
    (one, *_) = seen
    assert (one.workflow, one.status, one.queue, len(one.records)) == ("plain", "completed", "default", 4)
    assert one.closed_at >= one.started_at
    assert one.lines().count(b"\n") == 4
    for folder, end in (("0", ".jsonl"), ("1", ".jsonl.gz")):
        files = sorted((tmp_path / folder).rglob("*"))
        assert sum(file.name.endswith(end) for file in files) == 3
        assert sum(file.is_file() for file in files) == 3
        results = replay_files([plain], [tmp_path / folder])
        assert [result.ok for result in results] == [True] * 3


async def test_a_run_that_cannot_be_archived_stays(env: Engines, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next try takes it."""
    for n in range(3):
        await run(env, plain, n, id=f"p-{n}")
    await env.advance("2 hours")
    archived: list[str] = []

    async def archive(found: ArchivedRun) -> None:
        await asyncio.sleep(0)
        if found.workflow_id == "p-1" and "p-1" not in archived:
            archived.append("p-1")
            raise OSError("disk full")
        archived.append(found.workflow_id)

    pruned = await prune(env, archive=archive)
    assert (pruned.runs, pruned.failed) == (2, 1)
    assert [each.workflow_id for each in await env.client.list()] == ["p-1"]
    assert "cannot be archived, and is kept: OSError: disk full" in caplog.text
    assert (await prune(env, archive=archive)).runs == 1


async def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves nothing behind, and a second one of the same run gives the same file."""
    async with engines() as env:
        await env.begin([plain], [double])
        await run(env, plain, 1, id="p")
        document = (await env.store.read_closed(0, before_ms=2**60) + await env.store.read_closed(1, before_ms=2**60))[
            0
        ]
        partition = 0 if await env.store.document(0, id=document.id) else 1
        found = await archived_run(env.store, partition, document)
    archive = FolderArchive(tmp_path / "a", compress=True)

    def refuse(*_args: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        with pytest.raises(OSError, match="no space"):
            await archive(found)
    assert not [file for file in (tmp_path / "a").rglob("*") if file.is_file()]
    await archive(found)
    first = archive.path_of(found).read_bytes()
    await archive(found)
    assert archive.path_of(found).read_bytes() == first


@pytest.mark.parametrize("bad", ["s3://bucket/x", "file://host/x", "file:///", "", "file:///x?compress=zstd", 7])
async def test_an_archive_that_is_not_understood_is_refused(bad: Any) -> None:
    """Before anything is removed."""
    async with engines() as env:
        with pytest.raises((ValueError, TypeError), match="archive"):
            await env.client.prune(older_than=1, archive=bad)


# --- fences


async def test_one_sweeper_a_partition(env: Engines) -> None:
    """While another session holds the lease of a partition's sweep, nothing is removed there."""
    await run(env, plain, 1, id="p")
    await env.advance("2 hours")
    await env.store.begin_session("other", "sweep", b"", 10**9)
    held = await env.store.acquire("other", SWEEP_INBOX, range(env.store.partitions))
    assert len(held) == env.store.partitions
    assert (await prune(env)).busy == 1
    assert len(await env.client.list()) == 1
    await env.store.end_session("other")
    assert (await prune(env)).runs == 1


async def test_what_is_reopened_meanwhile_stays(env: Engines) -> None:
    """A run that was reopened since it was read is passed over by the store, even if it has closed again: it is younger."""
    with pytest.raises(Exception, match="no"):
        await run(env, fails, id="f")
    (found,) = [
        (partition, document)
        for partition in range(env.store.partitions)
        for document in await env.store.read_closed(partition, before_ms=2**60)
    ]
    await env.store.begin_session("me", "sweep", b"", 10**9)
    sweep = Sweep(env.store, "me")
    partition, document = found
    lease = await sweep.acquire(partition)
    assert isinstance(lease, Lease)
    assert document.closed_ms is not None
    await env.advance(1)
    await env.drive(env.client.handle("f").retry())
    await env.advance(1)
    assert await env.store.commit([Commit(lease, "1", forgotten=[(document.id, document.closed_ms)])]) == [None]
    assert (await env.client.handle("f").describe()).retries == 1


async def test_a_request_to_a_run_that_goes_meanwhile_is_not_answered(env: Engines) -> None:
    """It is dropped: nothing hangs on to a run that is gone, and no hot loop."""
    with pytest.raises(Exception, match="no"):
        await run(env, fails, id="f")
    await env.advance("2 hours")
    handle = env.client.handle("f")
    await handle.describe()
    for session in list(env.live):
        await env.kill(session)
    asking = asyncio.ensure_future(handle.retry(timeout=30))
    await env.settle()
    await prune(env)
    await env.begin(ALL, [double])
    with pytest.raises((RequestTimeoutError, RunNotFoundError)):
        await env.drive(asking)
    await env.advance(1)
    assert (await env.store.inspect.counts())["inbox"] == 0


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("what", ["commit", "read", "acquire", "release"])
async def test_a_connection_that_is_cut_costs_nothing(what: str, fate: str) -> None:
    """Whichever call it is: each run is archived at least once and removed, and counted once."""
    async with engines() as env:
        await env.begin(ALL, [double])
        for n in range(8):
            await run(env, plain, n, id=f"p-{n}")
        await env.advance("2 hours")
        cut: list[str] = []

        def plan(name: str, _number: int) -> str:
            if name != what or len(cut) >= 3:
                return ""
            cut.append(name)
            return fate

        archived: list[str] = []
        client = Client(cast(Store, FaultyStore(env.store, plan)))
        pruned = await env.drive(
            client.prune(older_than="1 hour", archive=lambda old: archived.append(old.workflow_id))
        )
        assert cut
        assert (pruned.runs, pruned.events, pruned.failed) == (8, 32, 0)
        assert set(archived) == {f"p-{n}" for n in range(8)}
        assert await env.client.list() == []


async def test_a_sweeper_that_dies_after_it_has_archived_leaves_the_run_to_the_next_one() -> None:
    """At least once: the file is written again, and the run goes then."""
    async with engines() as env:
        await env.begin(ALL, [double])
        await run(env, plain, 1, id="p")
        await env.advance("2 hours")
        archived: list[str] = []
        dead = asyncio.Event()
        client = Client(
            cast(Store, FaultyStore(env.store, lambda name, _: "die" if name == "commit" else "", dead.set))
        )
        dying = asyncio.ensure_future(client.prune(older_than=1, archive=lambda old: archived.append(old.workflow_id)))
        await env.drive(dead.wait())
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        assert archived == ["p"]
        assert len(await env.client.list()) == 1
        assert (await prune(env, archive=lambda old: archived.append(old.workflow_id))).runs == 1
        assert archived == ["p", "p"]
