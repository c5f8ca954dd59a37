"""Engines on a store: stuck runs, restarts, reopening, and what a run finds after it."""

import asyncio

import pytest

from durable.author import Query, Signal, activity, local, sleep, workflow
from durable.errors import RequestFailedError, RunFailedError
from durable.retry import NO_RETRY
from tests.engine.env import engines
from tests.engine.faults import FaultyStore

go = Signal("go", int)


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def chain(n: int) -> int:
    total = 0
    for i in range(n):
        total = await add(total, i)
    return total


async def test_a_chain_of_activities_runs_to_its_end() -> None:
    """The plain case, by the short cut and without it."""
    for short_cut in (True, False):
        async with engines() as env:
            await env.begin([chain], [add], short_cut=short_cut)
            handle = await env.client.start(chain, id="c")(5)
            assert await env.drive(handle.result()) == 10
            assert (await env.tags("c")).count("ActivityCompleted") == 5
            counts = await env.store.inspect.counts()
            assert (counts["tasks"], counts["dues"], counts["inbox"]) == (0, 0, 0)


async def test_a_run_whose_worker_was_killed_goes_on_elsewhere() -> None:
    """The next engine replays the history and takes it from there."""
    async with engines() as env:
        first = await env.begin([sleeper], [add])
        handle = await env.client.start(sleeper, id="s")(3)
        await env.settle()
        await env.kill(first)
        second = await env.begin([sleeper], [add])
        assert await env.drive(handle.result()) == 3
        assert env.hands(second).calls[0][1].endswith("/3")


@workflow
async def sleeper(n: int) -> int:
    total = 0
    for _ in range(n):
        total = await add(total, 1)
        await sleep(10)
    return total


async def test_a_run_that_could_not_start_for_want_of_its_code_loses_its_note_when_it_comes() -> None:
    """Stuck while no worker knows the workflow; no more as soon as one does."""
    async with engines() as env:
        first = await env.begin([chain], [add])
        await env.client.start("sleeper", id="s")(1)
        await env.settle()
        note = await env.stuck("s")
        assert note is not None
        assert "no workflow 'sleeper' is registered" in note
        await env.kill(first)
        await env.begin([chain, sleeper], [add])
        assert await env.stuck("s") is None
        assert await env.drive(env.client.handle("s").result()) == 1


async def test_an_id_can_be_started_again_while_its_closed_run_is_being_asked() -> None:
    """The start of the next run is not dropped with the messages for the one before."""
    async with engines(partitions=1) as env:
        await env.begin([asked], cache_runs=0)
        first = await env.client.start(asked, id="a")()
        await first.signal(go, 1)
        assert await env.drive(first.result()) == 1
        for n in range(5):
            asking = asyncio.ensure_future(first.query(total))
            for _ in range(n):
                await asyncio.sleep(0)
            second = await env.client.start(asked, id="a")()
            await second.signal(go, 10 + n)
            assert await env.drive(second.result()) == 10 + n
            assert await env.drive(asking) == 1


total = Query("total", int)


@workflow
async def asked() -> int:
    state = [0]
    total.handler(_reader(state))
    state[0] = await go.receive()
    return state[0]


def _reader(state: list[int]):  # type: ignore[no-untyped-def]
    def read() -> int:
        return state[0]

    return read


@activity(retry=NO_RETRY)
async def fragile(n: int) -> int:
    if n < 0:
        raise ValueError("negative")
    return n


async def test_a_failed_run_goes_on_with_the_code_that_was_put_right() -> None:
    """`retry` reopens it at the point of failure; the new code does not fail there any more."""

    @workflow(name="flow")
    async def broken(n: int) -> int:
        value = await add(n, 1)
        raise ValueError(f"cannot take {value}")

    @workflow(name="flow")
    async def fixed(n: int) -> int:
        return 10 * await add(n, 1)

    async with engines() as env:
        first = await env.begin([broken], [add])
        handle = await env.client.start(broken, id="f")(4)
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        await env.kill(first)
        second = await env.begin([fixed], [add])
        await env.drive(handle.retry())
        assert await env.drive(env.client.handle("f").result()) == 50
        assert env.hands(second).calls == []
        with pytest.raises(RequestFailedError, match="completed"):
            await env.drive(env.client.handle("f").retry())


async def test_a_run_that_failed_in_a_local_activity_tries_it_anew() -> None:
    """A local activity is run again when its run is reopened, in the same step."""
    calls: list[int] = []

    @activity(retry=NO_RETRY)
    async def shaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("first time")
        return 7

    @workflow
    async def flow() -> int:
        return await local(shaky)() + await local(shaky)()

    async with engines() as env:
        await env.begin([flow], [shaky])
        handle = await env.client.start(flow, id="l")()
        with pytest.raises(RunFailedError):
            await env.drive(handle.result())
        await env.drive(handle.retry())
        assert await env.drive(env.client.handle("l").result()) == 14
        assert len(calls) == 3


async def test_what_a_run_cannot_write_makes_it_stuck_and_no_one_else() -> None:
    """An event that the wire refuses, whatever the reason, must not end the engine."""

    @workflow
    async def odd() -> int:
        from durable._runtime.commands import is_patched
        from durable._runtime.context import require_run

        is_patched(require_run("test"), "\ud800")  # the public `patched` refuses it
        return 1

    async with engines(partitions=1) as env:
        await env.begin([odd, chain], [add])
        await env.client.start(odd, id="o")()
        handle = await env.client.start(chain, id="c")(2)
        assert await env.drive(handle.result()) == 1
        await env.settle()
        assert await env.stuck("o") is not None
        assert await env.status("o") == "running"


async def test_a_retry_that_is_due_while_the_dues_are_read_runs_once() -> None:
    """A read of the dues that began before a commit removed one does not bring it back."""
    attempts: list[int] = []

    @activity
    async def flaky() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("down")
        return len(attempts)

    @workflow
    async def flow() -> int:
        value = await flaky()
        await sleep(120)
        return value

    async with engines(partitions=1) as env:
        await env.begin([flow], [flaky])
        engine = env.engine("session-1")
        handle = await env.client.start(flow, id="f")()
        await env.settle()
        (owned,) = engine._owned.values()
        owned.begin_reading_dues()
        dues = await env.store.read_dues(owned.lease, until_ms=env.clock.now_ms() + 60_000, limit=10)
        assert [due.key.rpartition("/")[2] for due in dues] == ["retry"]
        await env.advance(2)
        assert len(attempts) == 2
        owned.learn_dues(dues, env.clock.now_ms() + 60_000, env.clock.now_ms() + 30_000)
        await env.advance(2)
        assert len(attempts) == 2
        assert await env.drive(handle.result()) == 2


async def test_more_timers_than_a_page_of_them_fire_in_time_and_without_a_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of runs that sleep: the dues are read page by page, as time comes near, not over and over."""
    from durable._engine import intake

    monkeypatch.setattr(intake, "DUES_PAGE", 10)
    reads: list[int] = []

    def plan(name: str, _number: int) -> str:
        if name == "read_dues":
            reads.append(env.clock.now_ms())
        return ""

    @workflow
    async def naps(seconds: int) -> None:
        await sleep(seconds)

    async with engines(partitions=1) as env:
        first = await env.begin([naps], [])
        handles = [await env.client.start(naps, id=f"n{n}")(20 + n % 7) for n in range(60)]
        await env.settle()
        await env.kill(first)
        await env.begin([naps], [], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        await env.advance(19)
        assert len(reads) < 60
        for handle in handles:
            await env.drive(handle.result(), step_s=0.05)
        assert env.clock.now_ms() - reads[0] < 28_000
