"""`handle.fork`: a new run from a prefix of another one's history."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Attribute,
    Query,
    RetryPolicy,
    Signal,
    Update,
    activity,
    activity_info,
    continue_as_new,
    errors,
    external,
    info,
    local,
    now,
    patched,
    random,
    sleep,
    start_child,
    upsert_attributes,
    uuid4,
    wait_condition,
    workflow,
)
from durable.history import RunForked, RunReopened, RunStarted
from durable.testing import TestEnvironment, assert_replays
from tests.scenario_store import STORES, scenario_url

go = Signal("go", str)
CASES = [(store, cache_runs) for store in STORES for cache_runs in (None, 0)]


def environment(store: str, cache_runs: int | None, **options: Any) -> TestEnvironment:
    return TestEnvironment(store=scenario_url(store), cache_runs=cache_runs, **options)


keys: list[tuple[int, str]] = []


@activity
async def add(a: int, b: int) -> int:
    keys.append((a, activity_info().idempotency_key))
    return a + b


@workflow
async def adding(count: int) -> int:
    total = 0
    for n in range(count):
        total = await add(total, n)
    return total


@pytest.mark.parametrize(("store", "cache_runs"), CASES)
async def test_a_fork_does_not_repeat_what_is_recorded(store: str, cache_runs: int | None) -> None:
    """What is pending at the point is done by the new run, under keys of its own; the source is untouched."""
    async with environment(store, cache_runs, workflows=[adding], activities=[add]) as env:
        source = await env.client.start(adding, id="source")(5)
        assert await source.result() == 10
        before = await source.history()
        keys.clear()
        fork = await source.fork(at=6, id="fork")  # the third addition is scheduled
        assert fork.workflow_id == "fork"
        assert await fork.result() == 10
        assert keys == [(1, f"{fork.run_id}/3"), (3, f"{fork.run_id}/4"), (6, f"{fork.run_id}/5")]
        assert await source.history() == before
        history = await fork.history()
        description = await fork.describe()
    assert [r.event for r in history[1:6]] == [r.event for r in before[1:6]]
    first, mark = history[0].event, history[6].event
    assert isinstance(first, RunStarted)
    assert isinstance(mark, RunForked)
    assert (first.workflow_id, first.run_id, first.at) == ("fork", fork.run_id, before[0].event.at)
    assert (mark.workflow_id, mark.run_id, mark.event) == ("source", source.run_id, 6)
    origin = description.forked_from
    assert origin is not None
    assert (origin.workflow_id, origin.run_id, origin.event) == ("source", source.run_id, 6)
    assert_replays(adding, history)


@pytest.mark.parametrize(("store", "cache_runs"), CASES)
async def test_by_default_the_last_step_is_taken_again(store: str, cache_runs: int | None) -> None:
    """Under a new id."""
    async with environment(store, cache_runs, workflows=[adding], activities=[add]) as env:
        source = await env.client.start(adding, id="source")(2)
        assert await source.result() == 1
        keys.clear()
        fork = await source.fork()
        assert await fork.result() == 1
        assert fork.workflow_id not in ("source", "")
        assert keys == [(0, f"{fork.run_id}/2")]


async def test_a_fork_of_a_closed_run_may_have_its_id() -> None:
    """It is the latest run of the id then; the source is still there."""
    async with TestEnvironment(workflows=[adding], activities=[add]) as env:
        source = await env.client.start(adding, id="one")(2)
        await source.result()
        fork = await source.fork(at=2, id="one")
        assert (fork.workflow_id, fork.run_id != source.run_id) == ("one", True)
        assert await env.client.handle("one").result() == 1
        assert (await env.client.handle("one").describe()).run_id == fork.run_id
        assert (await source.describe()).status == "completed"


@workflow(name="chance")
async def chance() -> list[Any]:
    numbers = [random().random(), str(uuid4()), now().isoformat(), info().started_at.isoformat()]
    kept = random()
    await go.receive()
    numbers += [kept.random(), str(uuid4()), now().isoformat()]
    await go.receive()
    return [*numbers, kept.random(), str(uuid4())]


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_chance_and_time_are_the_sources_up_to_the_point(cache_runs: int | None) -> None:
    """And others from there on; a fork of the fork as well."""
    async with TestEnvironment(workflows=[chance], cache_runs=cache_runs) as env:
        source = await env.client.start(chance, id="source")()
        await env.settle()
        await env.advance("1 hour")
        fork = await source.fork()
        await source.signal(go, "a")
        await fork.signal(go, "a")
        await env.settle()
        again = await fork.fork(id="again")
        results = []
        for handle in (source, fork, again):
            await handle.signal(go, "b")
            results.append(await handle.result())
            assert_replays(chance, await handle.history())
    one, two, three = results
    assert one[:4] == two[:4] == three[:4]
    assert two[4:7] == three[4:7]
    assert not set(one[4:6]) & set(two[4:6])
    assert len({row[7] for row in results}) == len({row[8] for row in results}) == 3


@workflow
async def waiting(hours: int) -> str:
    deadline = asyncio.get_running_loop().time() + 3600 * hours
    text = await go.receive()
    await sleep(deadline - asyncio.get_running_loop().time())
    return text


async def test_timers_keep_their_times() -> None:
    """One that is overdue fires at once; one that is not, when it was to fire."""
    async with TestEnvironment(workflows=[waiting]) as env:
        source = await env.client.start(waiting, id="source")(10)
        await source.signal(go, "done")
        await env.settle()
        await env.advance("4 hours")
        began = env.now
        early = await source.fork()
        assert await early.result() == "done"
        assert 5.9 * 3600 < (env.now - began).total_seconds() < 6.1 * 3600
        assert await source.result() == "done"
        late = await source.fork()
        began = env.now
        assert await late.result() == "done"
        assert (env.now - began).total_seconds() < 1


@activity(retry=RetryPolicy(max_attempts=1))
async def fragile(n: int) -> int:
    if n < 0:
        raise ValueError(n)
    return n


@workflow(name="flow")
async def broken() -> int:
    value = await fragile(1)
    return value // 0


@workflow(name="flow")
async def mended() -> int:
    value = await fragile(1)
    return value * 100


async def test_a_fork_goes_on_with_the_code_as_it_is_now(tmp_path: Path) -> None:
    """A failed run is forked at the event at which the code failed."""
    url = f"sqlite:///{tmp_path}/code.db"
    async with TestEnvironment(store=url, workflows=[broken], activities=[fragile]) as env:
        source = await env.client.start(broken, id="source")()
        with pytest.raises(errors.RunFailedError):
            await source.result()
        again = await source.fork(at=3)
        with pytest.raises(errors.RunFailedError, match="division"):
            await again.result()
        assert_replays(broken, await again.history())
    async with TestEnvironment(store=url, workflows=[mended], activities=[fragile]) as env:
        # At its last event there is nothing left to happen: the code ends at once, and so does the run.
        fork = await env.client.handle("source", workflow=mended).fork(at=3)
        assert await fork.result() == 100
        assert_replays(mended, await fork.history())
        retried = env.client.handle(again.workflow_id, workflow=mended)
        await retried.retry()
        assert await retried.result() == 100
        described = await retried.describe()
        assert (described.retries, described.retried_at is not None, described.forked_from is not None) == (
            1,
            True,
            True,
        )
        assert_replays(mended, await retried.history())


@workflow
async def child() -> str:
    return await go.receive()


@workflow
async def parent() -> str:
    handle = await start_child(child, id="kid")()
    return await handle.result()


async def test_a_child_under_way_is_not_taken_over() -> None:
    """The error names it and the nearest points; nothing is written."""
    async with TestEnvironment(workflows=[parent, child]) as env:
        source = await env.client.start(parent, id="source")()
        await env.settle()
        with pytest.raises(errors.InvalidCallError, match=r"child 'child' with id 'kid' .* is under way"):
            await source.fork(id="fork")
        with pytest.raises(errors.RunNotFoundError):
            await env.client.handle("fork").describe()
        await env.client.handle("kid").signal(go, "hello")
        assert await source.result() == "hello"
        ended = await source.fork(at=len(await source.history()))
        assert await ended.result() == "hello"
        assert (await ended.describe()).parent is None


async def test_a_fork_of_a_child_has_no_parent() -> None:
    """Its end is nobody's business."""
    async with TestEnvironment(workflows=[parent, child]) as env:
        source = await env.client.start(parent, id="source")()
        await env.settle()
        kid = env.client.handle("kid", workflow=child)
        fork = await kid.fork(id="fork")
        await fork.signal(go, "fork")
        assert await fork.result() == "fork"
        assert (await fork.describe()).parent is None
        assert (await source.describe()).status == "running"
        await kid.signal(go, "kid")
        assert await source.result() == "kid"


@workflow
async def many(way: str) -> str:
    if patched("new"):
        nearby = await local(add)(1, 1)
    else:
        nearby = 0
    async with asyncio.timeout(60):
        text = await go.receive()
    results = await asyncio.gather(add(nearby, 1), add(nearby, 2), return_exceptions=True)
    return f"{way} {text} {results}"


@pytest.mark.parametrize(("store", "cache_runs"), CASES)
async def test_every_point_of_a_history_leads_to_the_same_result(store: str, cache_runs: int | None) -> None:
    """Whatever is pending there: local activities, timers, activities, signals."""
    async with environment(store, cache_runs, workflows=[many], activities=[add]) as env:
        source = await env.client.start(many, id="source")("all")
        await source.signal(go, "signal")
        expected = await source.result()
        assert expected == "all signal [3, 4]"
        forks, refused = [], []
        for at in range(1, len(await source.history()) + 1):
            try:
                forks.append((at, await source.fork(at=at)))
            except errors.InvalidCallError:
                refused.append(at)
        assert len(forks) >= 5
        assert refused
        for at, fork in forks:
            if not any("SignalReceived" in str(r.record) for r in (await source.history())[:at]):
                await fork.signal(go, "signal")
            assert await fork.result() == expected
            assert_replays(many, await fork.history())
        assert (await env.client.list(workflow=many, limit=1))[0].forked_from is not None


async def test_a_reopened_run_is_forked_by_what_counts() -> None:
    """Events that the reopening voided are not in the fork."""
    fails = [True]

    @activity(retry=RetryPolicy(max_attempts=1))
    async def flaky() -> str:
        if fails.pop() if fails else False:
            raise RuntimeError("not yet")
        return "done"

    @workflow
    async def reopening() -> str:
        first = await flaky()
        return first + await go.receive()

    async with TestEnvironment(workflows=[reopening], activities=[flaky]) as env:
        source = await env.client.start(reopening, id="source")()
        with pytest.raises(errors.RunFailedError):
            await source.result()
        await source.retry()
        await env.settle()
        assert (await source.describe()).retries == 1
        fork = await source.fork()
        await fork.signal(go, "!")
        assert await fork.result() == "done!"
        events = [r.event for r in await fork.history()]
        (reopened,) = [event for event in events if isinstance(event, RunReopened)]
        assert reopened.voids_from == events.index(reopened) + 1
        assert_replays(reopening, await fork.history())
        assert (await fork.describe()).retries == 0


async def test_a_time_limit_counts_from_the_fork() -> None:
    """That of the run."""
    async with TestEnvironment(workflows=[waiting]) as env:
        source = await env.client.start(waiting, id="source", run_timeout="1 hour")(0)
        with pytest.raises(errors.RunTimedOutError):
            await source.result()
        began = env.now
        fork = await source.fork()
        with pytest.raises(errors.RunTimedOutError):
            await fork.result()
        assert (env.now - began).total_seconds() >= 3600


async def test_a_fork_is_made_once_for_a_request() -> None:
    """A repeat finds the first one; another id that is open is refused, with the handle of its run."""
    async with TestEnvironment(workflows=[waiting]) as env:
        source = await env.client.start(waiting, id="source")(0)
        await env.settle()
        one = await source.fork(id="fork", request_id="r")
        two = await source.fork(id="fork", request_id="r")
        assert one.run_id == two.run_id
        with pytest.raises(errors.RunAlreadyOpenError, match="'fork' is open") as caught:
            await source.fork(id="fork")
        assert (await caught.value.handle.describe()).run_id == one.run_id


async def test_a_run_that_nobody_has_begun_cannot_be_forked() -> None:
    """It has no events."""
    async with TestEnvironment(workflows=[waiting], queues=["other"]) as env:
        source = await env.client.start(waiting, id="source")(0)
        with pytest.raises(errors.InvalidCallError, match="nobody has begun it"):
            await source.fork()


async def test_a_signal_that_follows_at_once_is_seen_by_the_fork() -> None:
    """It waits for the history."""
    async with TestEnvironment(workflows=[waiting]) as env:
        source = await env.client.start(waiting, id="source")(0)
        await env.settle()
        fork = await source.fork()
        await fork.signal(go, "first")
        assert await fork.result() == "first"


async def test_forks_of_a_run_that_is_moving_take_whole_steps() -> None:
    """Each begins with a prefix of what the source has in the end, and comes to the same result."""
    async with TestEnvironment(workflows=[adding], activities=[add]) as env:
        source = await env.client.start(adding, id="source")(40)
        forks = []
        while (await source.describe()).status == "running":
            if await source.history():
                forks.append(await source.fork())
            await asyncio.sleep(0)
        assert await source.result() == sum(range(40))
        whole = [r.event for r in await source.history()]
        assert len(forks) > 3
        for fork in forks:
            assert await fork.result() == sum(range(40))
            events = [r.event for r in await fork.history()]
            at = next(n for n, event in enumerate(events) if isinstance(event, RunForked))
            assert events[1:at] == whole[1:at]


@workflow
async def reaching(target: str) -> str:
    try:
        await external(target).signal(go, "hello")
    except errors.RunNotFoundError:
        return "nobody"
    return "sent"


async def test_what_was_sent_is_not_sent_again() -> None:
    """A delivered message is recorded."""
    async with TestEnvironment(workflows=[reaching, child]) as env:
        target = await env.client.start(child, id="target")()
        source = await env.client.start(reaching, id="source")("target")
        assert await source.result() == "sent"
        fork = await source.fork(at=len(await source.history()))
        assert await fork.result() == "sent"
        assert [r.event.request for r in await target.history() if hasattr(r.event, "value")]
        assert sum("SignalReceived" in str(r.record) for r in await target.history()) == 1


async def test_a_long_history_is_forked_in_one_commit() -> None:
    """20,000 events."""

    @workflow
    async def listening() -> int:
        count = 0
        while await go.receive() != "end":
            count += 1
        return count

    async with TestEnvironment(workflows=[listening]) as env:
        source = await env.client.start(listening, id="source")()
        for first in range(0, 20_000, 500):
            await asyncio.gather(*(source.signal(go, str(n)) for n in range(first, first + 500)))
        await env.settle()
        fork = await source.fork(id="fork")
        await fork.signal(go, "end")
        assert await fork.result() == 20_000
        assert (await fork.describe()).forked_from.event == 20_001  # type: ignore[union-attr]


customer = Attribute("customer", str)
fill = Update("fill", int, int)
left = Query("left", int)


@workflow
async def rich(count: int) -> list[Any]:
    upsert_attributes({customer: "first"})
    taken: list[int] = []

    @fill.handler
    async def on_fill(amount: int) -> int:
        await sleep(10)
        taken.append(amount)
        return amount

    @left.handler
    def on_left() -> int:
        return count - len(taken)

    await go.receive()
    upsert_attributes({customer: "second"})
    await wait_condition(lambda: len(taken) >= count)
    return [taken, info().attributes[customer]]


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_updates_attributes_and_queries_go_on_in_the_fork(cache_runs: int | None) -> None:
    """What an update had begun is finished there; the record has the attributes of the point, then those of the fork."""
    async with TestEnvironment(workflows=[rich], cache_runs=cache_runs) as env:
        source = await env.client.start(rich, id="source", attributes={customer: "start"}, memo={"k": 1})(2)
        async with env.frozen():
            await source.start_update(fill, 1)
            fork = await source.fork(id="fork")
            await env.settle()
            described = await fork.describe()
            assert (described.attributes[customer], described.memo["k"]) == ("first", 1)
            assert await fork.query(left) == 2
        await fork.signal(go, "x")
        assert await fork.update(fill, 5) == 5
        assert await fork.result() == [[1, 5], "second"]
        assert [run.workflow_id for run in await env.client.list(attributes={customer: "second"})] == ["fork"]
        assert (await source.describe()).attributes[customer] == "first"
        assert_replays(rich, await fork.history())


@workflow
async def counting(left: int, total: int) -> int:
    total = await add(total, left)
    if left:
        continue_as_new(left - 1, total)
    return total


async def test_a_run_of_a_chain_is_forked_by_itself() -> None:
    """The fork begins a chain of its own, and may go on in it."""
    async with TestEnvironment(workflows=[counting], activities=[add]) as env:
        handle = await env.client.start(counting, id="c")(3, 0)
        assert await handle.result() == 6
        runs = [run.run_id for run in await env.client.list(id_prefix="c")]
        assert len(runs) == 4
        middle = env.client.handle("c", runs[1], workflow=counting)
        fork = await middle.fork(id="fork")
        assert await fork.result() == 6
        first = await fork.describe()
        assert (first.status, first.continued_from) == ("continued_as_new", None)
        assert len(await env.client.list(id_prefix="fork")) == 2
        again = await fork.fork(at=2)
        assert await again.result() == 6


@workflow(version="1", pinned=True)
async def pinned(name: str) -> str:
    return f"{name} {await go.receive()}"


async def test_a_fork_of_a_pinned_run_is_pinned() -> None:
    """To the version that it began with."""
    async with TestEnvironment(workflows=[pinned]) as env:
        source = await env.client.start(pinned, id="source")("v1")
        await env.settle()
        fork = await source.fork()
        await fork.signal(go, "done")
        assert await fork.result() == "v1 done"
        described = await fork.describe()
        assert (described.version, described.pinned) == ("1", True)


async def test_a_chains_time_counts_from_the_fork() -> None:
    """That of `execution_timeout`, as that of `run_timeout`."""
    async with TestEnvironment(workflows=[waiting]) as env:
        source = await env.client.start(waiting, id="source", execution_timeout="1 hour")(0)
        with pytest.raises(errors.RunTimedOutError):
            await source.result()
        await env.advance("3 hours")
        began = env.now
        fork = await source.fork()
        with pytest.raises(errors.RunTimedOutError):
            await fork.result()
        assert 3600 <= (env.now - began).total_seconds() < 3700


@workflow
async def ending() -> str:
    return "at once"


@pytest.mark.parametrize(("store", "cache_runs"), CASES)
async def test_a_fork_that_ends_at_once_takes_what_was_sent_to_it(store: str, cache_runs: int | None) -> None:
    """Its close is not refused for ever over a message that waits for its first step."""
    async with environment(store, cache_runs, workflows=[ending]) as env:
        source = await env.client.start(ending, id="source")()
        await source.result()
        async with env.frozen() if store == "memory" else nullcontext():
            fork = await source.fork(at=1, id="fork")
            for n in range(3):
                with suppress(errors.RunClosedError):
                    await fork.signal(go, str(n))
        assert await fork.result() == "at once"
        assert_replays(ending, await fork.history())
