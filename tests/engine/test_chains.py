"""Chains of runs that continue each other as new on either store, and for whoever holds a run of them by its id."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from durable import Handle
from durable._log import follow
from durable.author import (
    Attribute,
    Query,
    Signal,
    Update,
    activity,
    continue_as_new,
    external,
    info,
    sleep,
    start_child,
    upsert_attributes,
    workflow,
)
from durable.client import Client
from durable.errors import RunCancelledError, RunClosedError, RunTerminatedError
from durable.history import RunContinuedAsNew, RunStarted
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore
from tests.scenario_store import LOCAL, scenario_url

go = Signal("go", int)
total = Query("total", int)
add = Update("add", int, int)
customer = Attribute("customer", str)

Open = Callable[[], AbstractAsyncContextManager[Engines]]


@pytest.fixture(params=LOCAL)
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens an environment on either store."""
    return lambda: engines(scenario_url(request.param))


@pytest.fixture
async def env() -> AsyncIterator[Engines]:
    async with engines() as opened:
        yield opened


@activity
async def double(n: int) -> int:
    return 2 * n


@workflow
async def sums(so_far: int) -> int:
    """Each run takes one signal and continues; 0 ends the chain."""

    @total.handler
    def answer() -> int:
        return so_far

    value = await go.receive()
    if value == 0:
        return so_far
    return continue_as_new(so_far + await double(value))


@workflow
async def rounds(left: int, done: int = 0) -> int:
    """A chain of `left` runs, each with an activity and a timer."""
    done += await double(1)
    await sleep(1)
    if left > 1:
        continue_as_new(left - 1, done=done)
    return done


async def chain_of(client: Client, workflow_id: str) -> list[Handle[Any]]:
    """The runs of the latest chain of an id, first to last."""
    handles: list[Handle[Any]] = []
    run_id: str | None = None
    described = await client.handle(workflow_id).describe()
    run_id = described.first_run_id
    while run_id:
        handles.append(client.handle(workflow_id, run_id))
        last = (await handles[-1].history())[-1].event
        run_id = last.new_run_id if isinstance(last, RunContinuedAsNew) else None
    return handles


async def check_chain(env: Engines, workflow_id: str, code: Any) -> list[Handle[Any]]:
    """Every run of the chain replays, each names the next, and nothing of them is left in the store."""
    handles = await chain_of(env.client, workflow_id)
    for index, handle in enumerate(handles):
        history = await handle.history()
        first = history[0].event
        assert isinstance(first, RunStarted)
        assert first.continued_from == ((handles[index - 1].run_id or "") if index else "")
        assert (first.first_run_id or first.run_id) == handles[0].run_id
        described = await handle.describe()
        assert (described.status == "continued_as_new") == (index < len(handles) - 1)
        assert described.first_run_id == handles[0].run_id
        assert_replays(code, history)
    counts = await env.store.inspect.counts()
    assert (counts["inbox"], counts["tasks"], counts["dues"]) == (0, 0, 0)
    return handles


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_a_chain_of_fifty_runs_ends_with_one_result(opened: Open, cache_runs: int | None) -> None:
    """Whoever waits for the first run gets the last one's result, and nothing is lost or done twice on the way."""
    async with opened() as env:
        session = await env.begin([rounds], [double], cache_runs=cache_runs)
        handle = await env.client.start(rounds, id="r")(50)
        waiting = asyncio.ensure_future(handle.result())
        await env.until(waiting.done, step_s=1, steps=20_000)
        assert await waiting == 100
        handles = await check_chain(env, "r", rounds)
        assert len(handles) == 50
        assert len(env.hands(session).calls) == 50
        # A handle of any run of it follows, and in few reads.
        assert await handles[25].result() == 100
        assert (await env.client.handle("r").describe()).status == "completed"


async def test_signals_reach_the_run_that_is_current(opened: Open) -> None:
    """By id alone, by the first run's handle, or by a handle of any run in between; each is read once, in order."""
    async with opened() as env:
        await env.begin([sums], [double])
        first = await env.client.start(sums, id="s")(0)
        for n in range(1, 7):
            target = (first, env.client.handle("s"), env.client.handle("s", first.run_id))[n % 3]
            await target.signal(go, n)
            if n % 2:
                await env.advance(1)
        await first.signal(go, 0)
        assert await env.drive(first.result()) == 42
        await check_chain(env, "s", sums)


async def test_signals_all_at_once_are_carried_along_the_chain(env: Engines) -> None:
    """Each run takes one of them, and hands the others on."""
    first = await env.client.start(sums, id="s")(0)
    for n in [*range(1, 21), 0]:
        await first.signal(go, n)
    await env.begin([sums], [double])
    assert await env.drive(first.result()) == 420
    handles = await check_chain(env, "s", sums)
    assert len(handles) == 21
    carried = [(await handle.history())[0].event for handle in handles]
    assert [len(event.signals) for event in carried if isinstance(event, RunStarted)] == [0, *range(20, 0, -1)]


async def test_a_repeat_of_a_signal_is_dropped_over_the_boundary(env: Engines) -> None:
    """The answer was lost; the run that read it has continued since."""
    await env.begin([sums], [double])
    first = await env.client.start(sums, id="s")(0)
    for target in (first, env.client.handle("s"), env.client.handle("s", first.run_id)):
        await target.signal(go, 5, request_id="same")
        await env.advance(1)
    await first.signal(go, 0)
    assert await env.drive(first.result()) == 10
    await env.client.handle("s").signal(go, 5, request_id="same")  # also once the chain is closed
    with pytest.raises(RunClosedError):
        await first.signal(go, 5, request_id="another")


async def test_queries_go_to_the_current_run(env: Engines) -> None:
    """And to the last one once the chain has ended."""
    await env.begin([sums], [double])
    first = await env.client.start(sums, id="s")(0)
    await first.signal(go, 3)
    await env.advance(1)
    assert await env.drive(first.query(total)) == 6
    await first.signal(go, 0)
    assert await env.drive(first.result()) == 6
    assert await env.drive(first.query(total)) == 6
    assert await env.drive(env.client.handle("s", first.run_id).query(total)) == 6


@pytest.mark.parametrize(("call", "error"), [("cancel", RunCancelledError), ("terminate", RunTerminatedError)])
async def test_the_current_run_is_ended_by_the_first_ones_handle(
    env: Engines, call: str, error: type[Exception]
) -> None:
    """Whoever started the chain can stop it."""
    await env.begin([sums], [double])
    first = await env.client.start(sums, id="s")(0)
    await first.signal(go, 3)
    await env.advance(1)
    await getattr(first, call)("enough")
    with pytest.raises(error, match="enough"):
        await env.drive(first.result())
    assert (await first.describe()).status == "continued_as_new"
    with pytest.raises(RunClosedError):
        await getattr(first, call)("again")


@workflow
async def adds(so_far: int) -> int:
    """Updates add; a signal continues or ends."""

    @add.handler
    async def take(n: int) -> int:
        nonlocal so_far
        so_far += await double(n)
        return so_far

    return continue_as_new(so_far) if await go.receive() else so_far


async def test_updates_go_to_the_current_run_and_are_found_by_their_id(env: Engines) -> None:
    """A repeat of one that an earlier run has answered gets that answer."""
    await env.begin([adds], [double])
    first = await env.client.start(adds, id="u")(0)
    assert await env.drive(first.update(add, 2, update_id="two")) == 4
    await first.signal(go, 1)
    await env.advance(1)
    assert await env.drive(first.update(add, 3, update_id="three")) == 10
    assert await env.drive(first.update(add, 2, update_id="two")) == 4
    assert await env.drive(env.client.handle("u").update(add, 2, update_id="two")) == 4
    assert await env.drive(first.update_handle("three", add).result()) == 10
    await first.signal(go, 0)
    assert await env.drive(first.result()) == 10
    assert await env.drive(first.update(add, 2, update_id="two")) == 4
    await check_chain(env, "u", adds)


async def test_an_update_that_meets_a_run_that_continues_is_for_the_next_one(env: Engines) -> None:
    """Its handler there would change a state that nobody reads any more."""

    @workflow(name="slow")
    async def slow(so_far: int) -> int:
        @add.handler
        async def take(n: int) -> int:
            nonlocal so_far
            if n > 1:
                await sleep(10)
            so_far += n
            return so_far

        return continue_as_new(so_far) if await go.receive() else so_far

    await env.begin([slow])
    first = await env.client.start(slow, id="u")(0)
    long = asyncio.ensure_future(first.update(add, 5))
    await env.advance(1)
    await first.signal(go, 1)  # the run continues once that handler is done
    await env.advance(1)
    late = asyncio.ensure_future(first.update(add, 1))
    await env.advance(1)
    assert await env.drive(long) == 5
    # The state had been passed on before the handler changed it: the next run does not have the 5.
    assert await env.drive(late) == 1
    await first.signal(go, 0)
    assert await env.drive(first.result()) == 1


# --- races


@workflow
async def quick(so_far: int) -> int:
    value = await go.receive()
    return continue_as_new(so_far + value) if value else so_far


@pytest.mark.parametrize("before", [True, False])
async def test_a_signal_that_races_with_continue_as_new_is_read_once(env: Engines, before: bool) -> None:
    """Appended before the commit, the commit is refused and the signal delivered first; appended after it, it is the next run's."""
    waiting: list[asyncio.Future[None]] = []
    hold = [False]

    def plan(name: str, _number: int) -> Any:
        if name == "commit" and hold[0]:
            hold[0] = False
            waiting.append(asyncio.get_running_loop().create_future())
            return waiting[0]
        return ""

    await env.begin([quick], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
    handle = await env.client.start(quick, id="q")(0)
    await env.settle()
    hold[0] = True
    await handle.signal(go, 1)
    await env.settle()
    assert waiting, "the commit that continues as new is held"
    if before:
        await env.client.handle("q").signal(go, 10)
    waiting[0].set_result(None)
    await env.settle()
    if not before:
        await handle.signal(go, 10)  # by the id of the run that is closed by now
    await handle.signal(go, 0)
    assert await env.drive(handle.result()) == 11
    first, *_ = await check_chain(env, "q", quick)
    carried = (await first.history())[-1].event
    assert isinstance(carried, RunContinuedAsNew)
    assert len(carried.signals) == int(before)


@pytest.mark.parametrize("before", [True, False])
async def test_a_cancellation_that_races_with_continue_as_new_ends_the_chain(env: Engines, before: bool) -> None:
    """Before the commit it goes along; after it, it is sent on to the next run. Either way the chain ends by it."""
    waiting: list[asyncio.Future[None]] = []
    hold = [False]

    def plan(name: str, _number: int) -> Any:
        if name == "commit" and hold[0]:
            hold[0] = False
            waiting.append(asyncio.get_running_loop().create_future())
            return waiting[0]
        return ""

    await env.begin([quick], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
    handle = await env.client.start(quick, id="q")(0)
    await env.settle()
    hold[0] = True
    await handle.signal(go, 1)
    await env.settle()
    assert waiting, "the commit that continues as new is held"
    if before:
        await handle.cancel("enough")
    waiting[0].set_result(None)
    await env.settle()
    if not before:
        await handle.cancel("enough")
    with pytest.raises(RunCancelledError, match="enough"):
        await env.drive(handle.result())
    first, second = await check_chain(env, "q", quick)
    closed = (await first.history())[-1].event
    assert isinstance(closed, RunContinuedAsNew)
    assert closed.cancel == before
    assert (await second.describe()).status == "cancelled"


# --- what goes along


async def test_attributes_memo_and_the_request_go_along(env: Engines) -> None:
    """So a repeat of the start finds the chain's current run, and a list finds it as before."""

    @workflow(name="tagged")
    async def tagged(n: int) -> tuple[str, str, int]:
        if n == 0:
            upsert_attributes({customer: "ada"})
            continue_as_new(1)
        await go.receive()
        return info().attributes[customer], info().memo["note"], n

    await env.begin([tagged])
    start = env.client.start(tagged, id="t", request_id="r", memo={"note": "kept"}, attributes={customer: "eve"})
    first = await start(0)
    await env.settle()
    again = await env.client.start(tagged, id="t", request_id="r")(0)
    assert again.run_id != first.run_id
    (found,) = await env.client.list(attributes=[customer == "ada"], status="running")
    assert (found.run_id, found.memo["note"]) == (again.run_id, "kept")
    await first.signal(go, 1)
    assert await env.drive(first.result()) == ("ada", "kept", 1)


async def test_it_moves_to_the_queue_and_the_workflow_that_it_names(env: Engines) -> None:
    """The next run is the business of other workers; messages by id reach it there."""

    @workflow(name="mover")
    async def mover() -> int:
        continue_as_new.into(quick, queue="far")(5)

    await env.begin([mover])
    first = await env.client.start(mover, id="m")()
    await env.settle()
    assert (await env.client.handle("m").describe()).queue == "far"
    await first.signal(go, 1)
    await env.begin([quick], queue="far")
    await first.signal(go, 0)
    assert await env.drive(first.result()) == 6


async def test_another_run_finds_the_current_one_by_its_id(env: Engines) -> None:
    """A message by id is for whichever run is open."""

    @workflow(name="teller")
    async def teller() -> None:
        for n in (1, 2, 0):
            await external("q").signal(go, n)
            await sleep(1)

    await env.begin([teller, quick])
    first = await env.client.start(quick, id="q")(0)
    await env.client.start(teller, id="t")()
    assert await env.drive(first.result()) == 3


async def test_a_child_that_continues_reports_its_end_to_its_parent(env: Engines) -> None:
    """The parent gets the result of the chain, not of its first run."""

    @workflow(name="parent")
    async def parent() -> int:
        child = await start_child(rounds, id="child")(3)
        return await child.result()

    await env.begin([parent, rounds], [double])
    handle = await env.client.start(parent, id="p")()
    assert await env.drive(handle.result()) == 6
    described = await env.client.handle("child").describe()
    assert described.parent is not None
    assert described.continued_from is not None


async def test_an_unknown_workflow_of_the_next_run_is_a_stuck_run(env: Engines) -> None:
    """It goes on once a worker knows it."""

    @workflow(name="away")
    async def away() -> int:
        continue_as_new.into("later")(1)

    @workflow(name="later")
    async def later(n: int) -> int:
        return n

    session = await env.begin([away])
    first = await env.client.start(away, id="a")()
    await env.settle()
    assert "no workflow 'later'" in (await env.stuck("a") or "")
    await env.kill(session)
    await env.begin([later])
    assert await env.drive(first.result()) == 1


async def test_arguments_that_the_code_cannot_take_are_a_stuck_run(env: Engines) -> None:
    """By name nothing is checked at the call; the next run says what does not fit."""

    @workflow(name="wrong")
    async def wrong(n: int) -> int:
        if n == 0:
            continue_as_new.into("other-name")("text")
        return n

    @workflow(name="other-name")
    async def other(n: int) -> int:
        return n

    await env.begin([wrong, other])
    await env.client.start(wrong, id="w")(0)
    await env.settle()
    assert "argument 'n'" in (await env.stuck("w") or "")


async def test_a_failed_run_of_a_chain_is_retried_by_the_first_ones_handle(env: Engines) -> None:
    """The last run is the one that failed, so it is the one to be reopened."""
    broken = [True]

    @workflow(name="fails")
    async def fails(n: int) -> int:
        if n == 0:
            continue_as_new(1)
        if broken[0]:
            raise ValueError("not yet")
        return n

    await env.begin([fails])
    first = await env.client.start(fails, id="f")(0)
    await env.settle()
    assert await env.status("f") == "failed"
    broken[0] = False
    await env.drive(first.retry())
    assert await env.drive(first.result()) == 1


async def test_following_finds_the_end_of_a_chain_whose_id_was_used_again(env: Engines) -> None:
    """Run by run, since the latest run of the id is of another chain."""
    await env.begin([rounds], [double])
    old = await env.client.start(rounds, id="r")(4)
    assert await env.drive(old.result()) == 8
    new = await env.client.start(rounds, id="r")(2)
    assert await env.drive(new.result()) == 4
    assert await env.drive(env.client.handle("r", old.run_id).result()) == 8
    partition = old._line.partition
    document = await env.store.document(partition, id=old.run_id)
    assert document is not None
    assert (await follow(env.store, partition, document)).state == "completed"
