"""Updates and the log: those whose worker dies, that race with the close, that nobody handles yet."""

import asyncio
from typing import Any

import pytest

from durable.author import Query, Signal, Update, activity, sleep, wait_condition, workflow
from durable.errors import RequestFailedError, RunClosedError, UpdateRejectedError
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

add = Update("add", int, int)
late = Update("late", int, int)
never = Update("never", int, int)
note = Signal("note", str)
go = Signal("go")
total = Query("total", int)


@activity
async def work(n: int) -> int:
    return n


@workflow
async def account() -> int:
    state = 0

    @total.handler
    def tell() -> int:
        return state

    @add.handler
    async def on_add(n: int) -> int:
        nonlocal state
        state += await work(n)
        return state

    await go.receive()

    @late.handler
    async def on_late(n: int) -> int:
        await sleep("1 minute")
        return -n

    await go.receive()
    return state


@workflow
async def one() -> int:
    """Ends with its activity, whatever else comes."""
    seen = 0

    @add.handler
    def on_add(n: int) -> int:
        nonlocal seen
        seen += n
        return seen

    @note.handler
    def on_note(_text: str) -> None:
        nonlocal seen
        seen += 100

    await work(1)
    return seen


@pytest.mark.parametrize("cache_runs", [None, 0])
async def test_a_handler_goes_on_where_it_was_when_its_worker_died(cache_runs: int | None) -> None:
    """Between accepted and completed: its activity is not run again, the rest of it is."""
    async with engines(partitions=1) as env:
        first = await env.begin([account], [work], cache_runs=cache_runs)
        handle = await env.client.start(account, id="a")()
        await handle.signal(go)
        started = await env.drive(handle.start_update(late, 4))
        await env.kill(first)
        await env.begin([account], [work], cache_runs=cache_runs)
        assert await env.drive(started.result()) == -4
        assert await env.drive(env.client.handle("a").update_handle(started.id, late).result()) == -4


async def test_what_is_held_stays_in_the_inbox_for_the_next_owner() -> None:
    """No event, no loss: a new owner reads it again."""
    async with engines(partitions=1) as env:
        first = await env.begin([account], [work])
        handle = await env.client.start(account, id="a")()
        sent = asyncio.create_task(handle.start_update(late, 4, timeout="1 hour"))
        await env.settle()
        assert "UpdateAccepted" not in await env.tags("a")
        assert (await env.store.inspect.counts())["inbox"] == 1
        await env.stop(first)
        await env.begin([account], [work])
        assert (await env.store.inspect.counts())["inbox"] == 1
        await handle.signal(go)
        started = await env.drive(sent)
        assert (await env.store.inspect.counts())["inbox"] == 0
        assert await env.drive(started.result()) == -4


async def test_what_is_held_costs_no_commits() -> None:
    """It is offered again when the run takes a step for another reason, and does not make the engine spin."""
    async with engines(partitions=1) as env:
        counted = FaultyStore(env.store, lambda _name, _number: "")
        await env.begin([account], [work], store=counted)  # type: ignore[arg-type]
        handle = await env.client.start(account, id="a")()
        sent = asyncio.create_task(handle.start_update(late, 4, timeout="10 hours"))
        await env.advance(1)
        before = counted.calls.count("commit")
        for _ in range(10):
            await env.advance(60)
        assert counted.calls.count("commit") == before
        assert await env.drive(handle.query(total)) == 0
        await handle.terminate()
        with pytest.raises(UpdateRejectedError, match="ended as terminated and never had a handler for update 'late'"):
            await env.drive(sent)


async def test_a_stuck_run_that_is_terminated_answers_its_updates() -> None:
    """Its code is of no use, and nobody waits for ever."""
    async with engines(partitions=1) as env:
        await env.begin([one], [work])  # it does not know `account`
        handle = await env.client.start(account, id="a")()
        sent = asyncio.create_task(handle.update(add, 4, timeout="10 hours"))
        await env.settle()
        assert "no workflow 'account' is registered" in (await env.stuck("a") or "")
        await handle.terminate()
        with pytest.raises(RunClosedError):
            await env.drive(sent)
        assert await env.status("a") == "terminated"
        assert (await env.store.inspect.counts())["inbox"] == 0


class ClosingStore:
    """Holds back the commit that would close the run, so that a test can send something before it."""

    def __init__(self, env: Engines, nth: int) -> None:
        self.reached = asyncio.Event()
        self.go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits, self._nth = 0, nth
        self.store = FaultyStore(env.store, self._plan)

    def _plan(self, name: str, _number: int) -> Any:
        if name != "commit":
            return ""
        self._commits += 1
        if self._commits != self._nth:
            return ""
        self.reached.set()
        return self.go_on


@pytest.mark.parametrize("cache_runs", [None, 0])
@pytest.mark.parametrize("what", ["update", "signal"])
async def test_a_message_that_comes_before_the_close_is_seen(what: str, cache_runs: int | None) -> None:
    """It was acknowledged while the closing commit was on its way: that one is refused, and the message comes first."""
    async with engines(partitions=1) as env:
        closing = ClosingStore(env, 2)
        await env.begin([one], [work], store=closing.store, cache_runs=cache_runs)  # type: ignore[arg-type]
        handle = await env.client.start(one, id="a")()
        await env.until(closing.reached.is_set)
        if what == "update":
            sent = asyncio.create_task(handle.update(add, 7, timeout="1 hour"))
        else:
            sent = asyncio.create_task(handle.signal(note, "x"))  # type: ignore[arg-type]
        await env.settle()
        closing.go_on.set_result(None)
        assert await env.drive(sent) == (7 if what == "update" else None)
        assert await env.drive(handle.result()) == (7 if what == "update" else 100)


@pytest.mark.parametrize("what", ["update", "signal"])
async def test_a_message_that_comes_after_the_close_is_refused(what: str) -> None:
    """The other way round: the commit was first."""
    async with engines(partitions=1) as env:
        closing = ClosingStore(env, 2)
        await env.begin([one], [work], store=closing.store)  # type: ignore[arg-type]
        handle = await env.client.start(one, id="a")()
        await env.until(closing.reached.is_set)
        closing.go_on.set_result(None)
        assert await env.drive(handle.result()) == 0
        with pytest.raises(RunClosedError):
            await (handle.update(add, 7) if what == "update" else handle.signal(note, "x"))
        assert "UpdateAccepted" not in await env.tags("a")


async def test_an_update_that_fails_with_its_run_is_answered() -> None:
    """The run failed by a signal's handler while the update waited: the close tells its caller."""

    @workflow
    async def breaking() -> None:
        @add.handler(concurrent=True)
        async def on_add(n: int) -> int:
            await wait_condition(lambda: False)
            return n

        @note.handler
        def on_note(text: str) -> None:
            raise ValueError(text)

        await go.receive()

    async with engines(partitions=1) as env:
        await env.begin([breaking])
        handle = await env.client.start(breaking, id="a")()
        started = await env.drive(handle.start_update(add, 1))
        await handle.signal(note, "broken")
        with pytest.raises(RequestFailedError, match="ended as failed before the update 'add'") as caught:
            await env.drive(started.result())
        assert isinstance(caught.value.__cause__.__cause__, ValueError)  # type: ignore[union-attr]


async def test_a_reopened_run_carries_its_updates_out() -> None:
    """Those that were accepted in vain are delivered anew, under the same id."""
    broken = True

    @workflow
    async def mended() -> int:
        got = 0

        @add.handler
        async def on_add(n: int) -> int:
            nonlocal got
            got += n
            return await work(n)

        await go.receive()
        if broken:
            raise ValueError("broken")
        await wait_condition(lambda: got > 0)
        return got

    async with engines(partitions=1) as env:
        session = await env.begin([mended], [work])
        handle = await env.client.start(mended, id="a")()
        started = await env.drive(handle.start_update(add, 2, update_id="u-1"))
        assert await env.drive(started.result()) == 2
        await handle.signal(go)
        await env.until(lambda: env.client.handle("a").describe(), steps=1)
        await env.settle()
        assert await env.status("a") == "failed"
        broken = False
        await env.kill(session)
        await env.begin([mended], [work])
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == 2
        assert await env.drive(handle.update(add, 2, update_id="u-1")) == 2, "the id is still known"
