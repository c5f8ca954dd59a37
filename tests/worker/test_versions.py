"""Pinned versions: runs stay with the code that they began with, and old and new workers run side by side."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from durable import (
    Attribute,
    Client,
    Query,
    Signal,
    Worker,
    activity,
    continue_as_new,
    info,
    patched,
    sleep,
    start_child,
    upsert_attributes,
    workflow,
)
from durable.author import Workflow
from durable.errors import (
    DefinitionError,
    InvalidCallError,
    InvalidIdError,
    RequestFailedError,
    RequestTimeoutError,
    RunFailedError,
)
from durable.history import SignalReceived
from durable.testing import TestEnvironment
from durable.worker._unknown import report_unserved
from tests.scenario_store import STORES, scenario_url
from tests.worker.harness import until, until_async

go = Signal("go")
step: Query[str] = Query("step", str)


@activity
async def pack(item: str) -> str:
    return f"packed {item}"


@activity
async def wrap(item: str) -> str:
    return f"wrapped {item}"


@workflow(name="order", version="1", pinned=True)
async def order_1(item: str) -> str:
    @step.handler
    def tell() -> str:
        return "first"

    await go.receive()
    return await pack(item)


@workflow(name="order", version="2", pinned=True)
async def order_2(item: str) -> str:
    wrapped = await wrap(item)

    @step.handler
    def tell() -> str:
        return "second"

    await go.receive()
    return await pack(wrapped)


@workflow(name="order")
async def order_today(item: str) -> str:
    await go.receive()
    return f"today's {item}"


ACTIVITIES = [pack, wrap]


@pytest.fixture(params=STORES)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client.connect(scenario_url(request.param)) as connected:
        yield connected


def serve(client: Client, *workflows: Workflow[..., Any], **options: Any) -> Worker:
    return Worker(client, workflows=workflows, activities=ACTIVITIES, **options)


async def holders(client: Client, inbox: str) -> list[str]:
    return sorted((await client.store.holders(inbox)).values())


# --- side by side


async def test_old_and_new_workers_run_side_by_side(client: Client) -> None:
    """Each run ends on the version that it began with, wherever its messages come from."""
    async with serve(client, order_1), serve(client, order_2):
        old = [await client.start(order_1, id=f"old-{n}")("lamp") for n in range(8)]
        new = [await client.start(order_2, id=f"new-{n}")("lamp") for n in range(8)]
        for handle in [*old, *new]:
            await handle.signal(go)
        assert {await handle.result() for handle in old} == {"packed lamp"}
        assert {await handle.result() for handle in new} == {"packed wrapped lamp"}


async def test_a_rolling_deployment_leaves_no_run_behind(client: Client) -> None:
    """The new worker comes, takes new runs and helps with the old ones; the old one goes; all runs end on their own code."""
    async with serve(client, order_1):
        old = [await client.start(order_1, id=f"old-{n}")("lamp") for n in range(12)]
        for handle in old[:4]:
            await handle.signal(go)
        async with serve(client, order_1, order_2) as second:
            assert second._life is not None
            mine = second._life.session
            await until_async(lambda: _holds(client, "default@order@1", mine))
            new = [await client.start(order_2, id=f"new-{n}")("lamp") for n in range(4)]
            for handle in old[4:8]:
                await handle.signal(go)
    async with serve(client, order_1, order_2):
        for handle in [*old[8:], *new]:
            await handle.signal(go)
        assert {await handle.result() for handle in old} == {"packed lamp"}
        assert {await handle.result() for handle in new} == {"packed wrapped lamp"}
    assert [use.open_runs for use in await client.versions()] == []


async def _holds(client: Client, inbox: str, session: str) -> bool:
    return session in await holders(client, inbox)


async def test_a_version_is_shared_out_among_those_who_serve_it(client: Client) -> None:
    """And nobody else gets a share of it: it would hold runs that it cannot step."""
    async with (
        serve(client, order_1, order_today) as both,
        serve(client, order_1) as one,
        serve(client, order_2) as two,
    ):
        sessions = [worker._life.session for worker in (both, one, two) if worker._life is not None]
        first, second, third = sessions
        half = client.store.partitions // 2
        for inbox, expected in (
            ("default@order@1", [first] * half + [second] * half),
            ("default@order@2", [third] * 2 * half),
            ("default", [first] * 2 * half),
        ):
            await until_async(lambda inbox=inbox, expected=expected: _held_by(client, inbox, expected))  # type: ignore[misc]


async def _held_by(client: Client, inbox: str, expected: list[str]) -> bool:
    return await holders(client, inbox) == sorted(expected)


async def test_workers_may_share_the_version_of_one_workflow_and_not_of_another(client: Client) -> None:
    """A version is one of a workflow: a worker that has the number 2 of another one is not asked for it."""

    @workflow(version="2", pinned=True)
    async def other() -> str:
        await go.receive()
        return "other"

    async with serve(client, order_1, other), serve(client, order_2, other):
        handles = [await client.start(order_2, id=f"o-{n}")("lamp") for n in range(8)]
        others = [await client.start(other, id=f"x-{n}")() for n in range(8)]
        for handle in [*handles, *others]:
            await handle.signal(go)
        assert {await handle.result() for handle in handles} == {"packed wrapped lamp"}
        assert {await handle.result() for handle in others} == {"other"}


async def test_one_worker_serves_several_versions_and_the_unpinned_one(client: Client) -> None:
    """Three workflows of one name, each with its own runs."""
    async with serve(client, order_1, order_2, order_today):
        expected = {order_1: "packed lamp", order_2: "packed wrapped lamp", order_today: "today's lamp"}
        for code, result in expected.items():
            handle = await client.start(code, id=f"v{code.version}")("lamp")
            await handle.signal(go)
            assert await handle.result() == result


async def test_without_pinned_workflows_there_is_one_engine(client: Client) -> None:
    """They cost nothing where they are not used."""

    @workflow(version="7")
    async def plain() -> str | None:
        return info().version

    async with serve(client, plain, order_today) as worker:
        assert worker._life is not None
        assert len(worker._life._engines.named()) == 1
        handle = await client.start(plain, id="p")()
        assert await handle.result() == "7"
        run = await handle.describe()
        assert (run.version, run.pinned, run.queue) == ("7", False, "default")


# --- started, asked and ended through its inbox


async def test_a_version_is_started_by_name(client: Client) -> None:
    """By whoever does not have its code."""
    async with serve(client, order_1, order_2):
        handle = await client.start("order", version="2", id="by-name")("lamp")
        await handle.signal(go)
        assert await handle.result() == "packed wrapped lamp"
        run = await handle.describe()
        assert (run.version, run.pinned, run.queue, run.workflow) == ("2", True, "default", "order")


async def test_a_start_by_name_without_a_version_is_told_which_there_are(client: Client) -> None:
    """Its run is of none of them, and would wait for ever without a word of why."""

    @workflow
    async def unpinned() -> None: ...

    async with serve(client, order_1, order_2, unpinned):
        handle = await client.start("order", id="of-no-version")("lamp")

        async def stuck() -> str | None:
            return (await handle.describe()).stuck

        note = await until_async(stuck)
        assert note is not None
        assert "workflow 'order' is served in pinned versions only (1, 2), and this run is of none" in note
        assert "version='2'" in note


async def test_queries_cancellation_and_termination_reach_a_pinned_run(client: Client) -> None:
    """Through the inbox of its version; the closed run is asked there as well."""
    async with serve(client, order_1), serve(client, order_2):
        old, new = [await client.start(code, id=f"q-{code.version}")("lamp") for code in (order_1, order_2)]
        assert (await old.query(step), await new.query(step)) == ("first", "second")
        await old.cancel("no lamps")
        await new.terminate("neither")
        assert [await _status(handle) for handle in (old, new)] == ["cancelled", "terminated"]
        assert await old.query(step) == "first"


async def _status(handle: Any) -> str:
    async def closed() -> str | None:
        status: str = (await handle.describe()).status
        return status if status != "running" else None

    found = await until_async(closed)
    assert found is not None
    return found


async def test_a_failed_pinned_run_is_retried_on_its_version(client: Client) -> None:
    """The code of that version, put right."""
    broken = True

    @workflow(name="order", version="1", pinned=True)
    async def fails() -> str:
        if broken:
            raise ValueError("no")
        return "mended"

    async with serve(client, fails), serve(client, order_2):
        handle = await client.start(fails, id="f")()
        with pytest.raises(RunFailedError):
            await handle.result()
        broken = False
        await handle.retry()
        assert await handle.result() == "mended"


# --- nobody there


async def test_a_run_waits_for_a_worker_of_its_version_and_says_so(client: Client) -> None:
    """Also beside a worker that serves another one. It goes on as soon as there is one."""
    async with serve(client, order_2):
        handle = await client.start(order_1, id="waits")("lamp")
        await handle.signal(go)
        with pytest.raises(RequestTimeoutError, match="version 1 of workflow 'order' on task queue 'default'"):
            await handle.query(step, timeout=0.05)
        run = await handle.describe()
        assert run.stuck == (
            "no running worker of queue default knows version 1 of workflow order: start one that has it, and the run goes on"
        )
        uses = {use.version: (use.open_runs, use.served, use.pinned) for use in await client.versions()}
        assert uses == {"1": (1, False, True), "2": (0, True, True)}
    async with serve(client, order_1):
        assert await handle.result() == "packed lamp"
        assert (await handle.describe()).stuck is None


async def test_the_log_names_a_version_that_nobody_serves(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Once, and again if it is missing again later."""
    caplog.set_level(logging.WARNING, "durable.worker")
    reported: set[str] = set()
    for n in range(3):
        await client.start(order_1, id=f"w-{n}")("lamp")
    await client.start(order_today, id="plain")("lamp")
    await report_unserved(client.store, "other", reported)
    await report_unserved(client.store, "default", reported)
    await report_unserved(client.store, "default", reported)
    assert [record.getMessage() for record in caplog.records] == [
        (
            "3 open runs of queue default wait for version 1 of workflow order, which no running worker serves; "
            "they are pinned to it and wait until one does; see `durable versions`"
        )
    ]
    async with serve(client, order_1):
        await report_unserved(client.store, "default", reported)
    await report_unserved(client.store, "default", reported)
    assert len(caplog.records) == 2


async def test_versions_are_counted_by_queue_and_workflow(client: Client) -> None:
    """Those without a version and those that are only recorded as well."""

    @workflow(version="7")
    async def plain() -> None: ...

    for n in range(2):
        await client.start(order_1, id=f"a-{n}", queue="far")("lamp")
    await client.start(order_2, id="b")("lamp")
    await client.start(order_today, id="c")("lamp")
    await client.start(plain, id="d")()
    async with serve(client, order_2, plain):
        await client.handle("d").result()
        found = [(u.queue, u.workflow, u.version, u.pinned, u.open_runs, u.served) for u in await client.versions()]
    assert found == [
        ("default", "order", None, False, 1, False),
        ("default", "order", "2", True, 1, True),
        ("default", "plain", None, False, 0, True),
        ("far", "order", "1", True, 2, False),
    ]
    assert [(u.queue, u.version) for u in await client.versions(queue="far")] == [("far", "1")]


# --- crashes, time and no cache


@pytest.mark.parametrize("cache_runs", [0, 100])
async def test_pinned_runs_survive_crashes_between_any_two_steps(cache_runs: int) -> None:
    """Timers, activities and signals find the run's own inbox again."""

    @workflow(name="order", version="3", pinned=True)
    async def long() -> list[str]:
        got: list[str] = []
        for _ in range(3):
            await go.receive()
            got.append(await pack("lamp"))
            await sleep("1 day")
        return got

    async with TestEnvironment(workflows=[long, order_2], activities=ACTIVITIES, cache_runs=cache_runs) as env:
        handle = await env.client.start(long, id="l")()
        for _ in range(3):
            await env.crash_worker()
            await handle.signal(go)
            await env.crash_worker()
            await env.advance("1 day")
        assert await handle.result() == ["packed lamp"] * 3


async def test_a_killed_owner_of_a_version_is_followed_by_another(client: Client) -> None:
    """The runs of its inbox go on where a worker has that version, and only there."""
    async with serve(client, order_2):
        dying = serve(client, order_1, lease_ttl=0.5)
        life = dying._new_life()
        await life.begin()
        handle = await client.start(order_1, id="k")("lamp")
        assert await handle.query(step) == "first"
        await life._background.cancel()  # no goodbye: its leases run out
        life._keeper.stop()
        await handle.signal(go)
        async with serve(client, order_1):
            assert await asyncio.wait_for(handle.result(), 20) == "packed lamp"
        life._runner.close()


async def test_the_cache_is_shared_by_the_versions() -> None:
    """`cache_runs` bounds what the worker keeps, however many versions it serves."""
    async with Client.connect("memory:") as client, serve(client, order_1, order_2, cache_runs=4) as worker:
        handles = [
            await client.start(code, id=f"{code.version}-{n}")("lamp") for code in (order_1, order_2) for n in range(5)
        ]
        for handle in handles:
            await handle.query(step)
        assert worker._life is not None
        engines = [engine for _, engine in worker._life._engines.named()]
        await until(lambda: sum(len(engine._cache) for engine in engines) <= 4)
        assert [engine._cache._size for engine in engines] == [2, 2]


# --- bad input


def test_a_pinned_workflow_needs_a_version() -> None:
    """Pinned to what?"""
    with pytest.raises(DefinitionError, match=r"a pinned workflow needs a version: @workflow\(version="):

        @workflow(pinned=True)
        async def nothing() -> None: ...


@pytest.mark.parametrize("version", ["", "a@b", "x" * 101, "a\nb", 2])
def test_a_version_is_a_short_text_without_the_separator(version: Any) -> None:
    """It is part of the name of an inbox."""
    with pytest.raises(InvalidIdError, match="workflow version"):

        @workflow(version=version)
        async def nothing() -> None: ...


async def test_the_separator_is_refused_in_names_of_queues(client: Client) -> None:
    """A queue of that name would be the inbox of a version."""
    with pytest.raises(InvalidIdError, match="task queue name must not hold '@'"):
        client.start(order_today, queue="default@order@1")
    with pytest.raises(InvalidIdError, match="task queue name must not hold '@'"):
        serve(client, order_today, queue="a@b")


async def test_two_of_one_name_and_version_are_refused(client: Client) -> None:
    """And two that are not pinned, whatever their versions."""

    @workflow(name="order", version="1", pinned=True)
    async def again() -> None: ...

    @workflow(name="order", version="1")
    async def unpinned() -> None: ...

    for pair in ((order_1, again), (order_today, unpinned)):
        with pytest.raises(DefinitionError, match="two workflows have the name 'order'"):
            serve(client, *pair)


async def test_a_workflow_has_its_own_version(client: Client) -> None:
    """Another one is started by name."""
    with pytest.raises(InvalidCallError, match=r"has its own; .*client.start\('order', version='1'\)"):
        client.start(order_2, version="1")
    with pytest.raises(InvalidIdError, match="workflow version"):
        client.start("order", version="1@2")


# --- one workflow id, several inboxes


@pytest.mark.parametrize("latest", ["open", "closed"])
async def test_an_earlier_run_of_another_version_is_asked_through_its_own(client: Client, latest: str) -> None:
    """Its workers leave the later run of the same workflow id alone."""
    async with serve(client, order_1), serve(client, order_2):
        first = await client.start(order_1, id="same")("lamp")
        await first.signal(go)
        await first.result()
        second = await client.start(order_2, id="same")("lamp")
        if latest == "closed":
            await second.signal(go)
            await second.result()
        assert await first.query(step) == "first"
        assert await second.query(step) == "second"
        assert (await second.describe()).stuck is None
        if latest == "open":
            await second.signal(go)
        assert await second.result() == "packed wrapped lamp"
        assert await first.query(step) == "first"


async def test_an_earlier_run_of_another_queue_is_not_retried(client: Client) -> None:
    """Only the latest run of a workflow id can be, on whatever queue and version that is."""

    @workflow
    async def fails() -> None:
        raise ValueError("no")

    async with serve(client, fails), serve(client, fails, queue="far"):
        first = await client.start(fails, id="same")()
        with pytest.raises(RunFailedError):
            await first.result()
        second = await client.start(fails, id="same", queue="far")()
        with pytest.raises(RunFailedError):
            await second.result()
        with pytest.raises(
            RequestFailedError, match=f"is not the latest one of its workflow id, which is {second.run_id}"
        ):
            await first.retry()
        assert (await first.describe()).status == "failed"


# --- runs that come of runs


customer = Attribute("customer", str)


async def test_a_pinned_run_continues_as_its_own_version(client: Client) -> None:
    """With its attributes and its memo; another version has to be named."""

    @workflow(name="rounds", version="1", pinned=True)
    async def rounds(left: int) -> list[Any]:
        if left:
            upsert_attributes({customer: f"c{left}"})
            continue_as_new(left - 1)
        return [info().version, info().attributes[customer], info().memo["note"]]

    @workflow(name="rounds", version="2", pinned=True)
    async def rounds_2(left: int) -> list[Any]:
        if left:
            continue_as_new.into("rounds", version="1")(left - 1)
        raise AssertionError

    async with serve(client, rounds), serve(client, rounds_2):
        handle = await client.start(rounds, id="r", memo={"note": "n"}, attributes={customer: "c9"})(2)
        assert await handle.result() == ["1", "c1", "n"]
        runs = await client.list(id_prefix="r")
        assert [(run.version, run.pinned, run.attributes[customer]) for run in runs] == [
            ("1", True, "c1"), ("1", True, "c1"), ("1", True, "c2"),
        ]  # fmt: skip
        other = await client.start(rounds_2, id="o", memo={"note": "m"}, attributes={customer: "c9"})(1)
        assert await other.result() == ["1", "c9", "m"]


async def test_a_run_without_pinning_continues_with_the_version_of_the_code(client: Client) -> None:
    """That is what steps the new run; what the old one began with is not."""

    def rounds(version: str) -> Workflow[..., Any]:
        @workflow(name="rounds", version=version)
        async def flow() -> None:
            await go.receive()
            continue_as_new()

        return flow

    async with serve(client, rounds("1")):
        handle = await client.start(rounds("1"), id="r")()
    async with serve(client, rounds("2")):
        await handle.signal(go)
        await until_async(lambda: _has_runs(client, 2))
    assert [run.version for run in await client.list()] == ["2", "1"]


async def _has_runs(client: Client, count: int) -> bool:
    return len(await client.list()) == count


async def test_a_child_has_the_version_that_its_parents_code_names(client: Client) -> None:
    """In the inbox of that version, whatever the parent is pinned to."""

    @workflow(version="9", pinned=True)
    async def parent() -> str:
        first = await start_child(order_1)("lamp")
        second = await start_child("order", version="2", returns=str)("lamp")
        return await first.result() + " and " + str(await second.result())

    async with serve(client, parent), serve(client, order_1), serve(client, order_2):
        handle = await client.start(parent, id="p")()
        for version in ("1", "2"):
            child = await until_async(lambda version=version: _child(client, version))  # type: ignore[misc]
            await client.handle(child).signal(go)
        assert await handle.result() == "packed lamp and packed wrapped lamp"


async def _child(client: Client, version: str) -> str | None:
    found = [run for run in await client.list(workflow="order", status="running") if run.version == version]
    return found[0].workflow_id if found else None


async def test_a_fork_of_a_pinned_run_is_of_its_version(client: Client) -> None:
    """Its record has the attributes and patches of the part of the history that it takes over."""

    @workflow(name="order", version="1", pinned=True)
    async def marks() -> str:
        upsert_attributes({customer: "ada"})
        patched("x")
        await go.receive()
        upsert_attributes({customer: "bo"})
        return "done"

    async with serve(client, marks), serve(client, order_2):
        handle = await client.start(marks, id="m")()
        await handle.signal(go)
        await handle.result()
        events = await handle.history()
        at = next(each.seq for each in events if isinstance(each.event, SignalReceived)) - 1
        fork = await handle.fork(at=at)
        run = await until_async(lambda: _with_attribute(fork))
        assert (run.version, run.pinned, run.status) == ("1", True, "running")
        assert [(use.patch, use.marked) for use in await client.patches()] == [("x", 1)]
        await fork.signal(go)
        assert await fork.result() == "done"
        assert (await fork.describe()).attributes[customer] == "bo"


async def _with_attribute(handle: Any) -> Any:
    run = await handle.describe()
    return run if run.attributes.get(customer) == "ada" else None


def test_a_version_goes_with_a_name() -> None:
    """A workflow has its own."""
    with pytest.raises(InvalidCallError, match=r"a version goes with a workflow's name; .*order version 1"):
        start_child(order_1, version="1")  # type: ignore[call-overload]
    with pytest.raises(InvalidIdError, match="workflow version"):
        start_child("order", version="a@b")
    with pytest.raises(InvalidCallError, match="a version goes with a workflow's name"):
        continue_as_new.into(order_1, version="1")  # type: ignore[call-overload]
    with pytest.raises(InvalidIdError, match="workflow version"):
        continue_as_new.into("order", version="a@b")
