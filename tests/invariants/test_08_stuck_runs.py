"""Invariant 8: a failure of ours never fails a run. It is stuck, says why, is tried with backoff, and goes on with the right code.

Breaks that were tried, each of which fails a test here: `Owned.delay` doing nothing; `_URGENT` empty; a left-over start that
does not look at its record (the note stays); a damaged entry passed over; `_close_without_code` doing nothing; the store's
trouble written into a run's record.
"""

import asyncio
from typing import Any

import pytest

from durable.author import Query, Signal, activity, sleep, workflow
from durable.codec import JsonCodec, Payload
from durable.errors import RequestFailedError, RunTerminatedError, RunTimedOutError
from durable.stores import Entry
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore
from tests.engine.hand import overwrite

go = Signal("go", int)
state = Query("state")


@activity
async def work(n: int) -> int:
    return n


@activity
async def other(n: int) -> int:
    return n


@workflow
async def fine(n: int) -> int:
    return await work(n)


@workflow(name="flow", timeout="2 days")
async def flow(n: int) -> int:
    @state.handler
    def on_state() -> str:
        return "well"

    first = await work(n)
    return first + await go.receive()


@workflow(name="flow", timeout="2 days")
async def flow_changed(n: int) -> int:
    first = await other(n)
    return first + await go.receive()


@workflow(name="flow")
async def flow_of_text(n: str) -> str:
    return n


class Haunted(JsonCodec):
    """A codec with a bug of ours in it, for one value."""

    cursed: Any = 666

    def decode(self, payload: Payload, hint: Any, *, what: str) -> Any:
        """Raise what no one expects."""
        value = super().decode(payload, hint, what=what)
        if value == self.cursed:
            raise ZeroDivisionError("a bug of ours")
        return value


async def others_go_on(env: Engines) -> None:
    """Run something in each partition."""
    for n in range(6):
        handle = await env.client.start(fine, id=f"fine-{n}")(n)
        assert await env.drive(handle.result()) == n


async def stuck_by(env: Engines, kind: str) -> tuple[str, str]:
    """Make a run of "flow" stuck; return its session and a piece of the reason."""
    good = [flow, fine], [work, other]
    if kind == "unknown workflow":
        session = await env.begin([fine], [work])
        await env.client.start(flow, id="f")(1)
        await env.settle()
        return session, "no workflow 'flow' is registered with the workers of this queue (they know: fine)"
    if kind == "undecodable arguments":
        session = await env.begin([flow_of_text, fine], [work])
        await env.client.start("flow", id="f")(1)
        await env.settle()
        return session, "n"
    session = await env.begin(*good)
    handle = await env.client.start(flow, id="f")(1)
    await env.settle()
    if kind == "undecodable signal":
        await handle.signal("go", "not a number")
        await env.settle()
        return session, "signal 'go'"
    await env.kill(session)
    if kind == "damaged record":
        await overwrite(env, "f", b'{"type":"ActivityCompleted","at"', at=3)
    elif kind == "future version":
        await overwrite(env, "f", b'{"type":"ActivityCompleted.9","at":1,"id":1}', at=3)
    if kind == "nondeterminism":
        session = await env.begin([flow_changed, fine], [work, other])
    elif kind == "bug of ours":
        session = await env.begin(*good, codec=Haunted())
        await handle.signal(go, 666)
        await env.settle()
        return session, "ZeroDivisionError: a bug of ours"
    else:
        session = await env.begin(*good)
    await handle.signal(go, 1)
    await env.settle()
    reasons = {"damaged record": "event 3", "future version": "upgrade", "nondeterminism": "activity 'other' (#1)"}
    return session, reasons[kind]


KINDS = [
    "unknown workflow", "undecodable arguments", "undecodable signal", "nondeterminism", "bug of ours", "damaged record",
    "future version",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stuck_run_stays_open_and_says_why_and_others_go_on(kind: str) -> None:
    """No exception of ours fails it, and no other run waits for it."""
    async with engines() as env:
        _, reason = await stuck_by(env, kind)
        await others_go_on(env)
        assert await env.status("f") == "running"
        note = await env.stuck("f")
        assert note is not None
        assert reason in note


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stuck_run_is_tried_again_with_backoff(kind: str) -> None:
    """In an hour: a few tries at first, then one a minute; the history does not grow."""
    async with engines(partitions=1) as env:
        session, _ = await stuck_by(env, kind)
        engine = env.engine(session)
        tries: list[int] = []
        report = engine._stepper.stuck.report

        async def counted(*args: Any, **kwargs: Any) -> None:
            tries.append(env.clock.now_ms())
            await report(*args, **kwargs)

        engine._stepper.stuck.report = counted  # type: ignore[method-assign]
        before = await env.store.inspect.counts()
        for _ in range(360):
            await env.advance(10)
        assert 30 <= len(tries) <= 80
        after = await env.store.inspect.counts()
        assert after["records"] == before["records"]
        assert after["inbox"] == before["inbox"]


@pytest.mark.parametrize("kind", ["unknown workflow", "undecodable arguments", "nondeterminism", "bug of ours"])
async def test_a_stuck_run_goes_on_once_the_right_code_is_there(kind: str) -> None:
    """Nothing that was sent meanwhile is lost, and the reason is gone from its record."""
    async with engines() as env:
        session, _ = await stuck_by(env, kind)
        await env.kill(session)
        await env.begin([flow, fine], [work, other])
        await env.settle()
        if kind in ("unknown workflow", "undecodable arguments"):
            assert await env.stuck("f") is None
            await env.client.handle("f").signal(go, 1)
        expected = 667 if kind == "bug of ours" else 2
        assert await env.drive(env.client.handle("f", workflow=flow).result()) == expected
        assert await env.stuck("f") is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stuck_run_can_be_terminated_at_once(kind: str) -> None:
    """Its code is not needed for that, nor does anyone wait for the next try; nothing of it is left behind."""
    async with engines() as env:
        await stuck_by(env, kind)
        for _ in range(30):
            await env.advance(10)  # far into its backoff
        handle = env.client.handle("f")
        before = env.clock.now_ms()
        await handle.terminate("enough")
        with pytest.raises(RunTerminatedError):
            await env.drive(handle.result())
        assert env.clock.now_ms() - before <= 1000
        counts = await env.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"]) == (0, 0)
        assert await env.stuck("f") is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_query_of_a_stuck_run_is_told_why_at_once(kind: str) -> None:
    """Instead of waiting for an answer that will not come."""
    async with engines() as env:
        _, reason = await stuck_by(env, kind)
        for _ in range(30):
            await env.advance(10)
        before = env.clock.now_ms()
        with pytest.raises(RequestFailedError, match="stuck") as caught:
            await env.drive(env.client.handle("f").query(state))
        assert reason in str(caught.value)
        assert env.clock.now_ms() - before <= 1000


async def test_a_stuck_run_reaches_its_time_limit() -> None:
    """The limit needs no code either."""
    async with engines() as env:
        await stuck_by(env, "nondeterminism")
        for _ in range(50):
            await env.advance("1 hour")
        with pytest.raises(RunTimedOutError):
            await env.drive(env.client.handle("f").result())


async def test_an_inbox_entry_that_cannot_be_read_makes_its_run_stuck() -> None:
    """It is not lost, the run does not close over it, others go on, and it can be terminated."""
    async with engines(partitions=1) as env:
        await env.begin([flow, fine], [work])
        handle = await env.client.start(flow, id="f")(1)
        await env.settle()
        await env.store.send(0, Entry("odd", "f", b'{"type":"SomethingOfLater"}'))
        await env.settle()
        await others_go_on(env)
        note = await env.stuck("f")
        assert note is not None
        assert "DamagedRecordError" in note
        await handle.terminate()
        with pytest.raises(RunTerminatedError):
            await env.drive(handle.result())


async def test_the_stores_trouble_is_not_the_runs() -> None:
    """While a history cannot be read its run waits, unmarked; a query waits as well, and is answered."""
    async with engines(partitions=1) as env:
        first = await env.begin([flow], [work])
        await env.client.start(flow, id="f")(1)
        await env.settle()
        await env.kill(first)
        away = [True]

        def plan(name: str, _number: int) -> str:
            return "before" if name == "read" and away[0] else ""

        await env.begin([flow], [work], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        asking = asyncio.ensure_future(env.client.handle("f").query(state))
        await env.settle()
        assert await env.stuck("f") is None
        away[0] = False
        assert await env.drive(asking) == "well"


async def test_a_run_of_many_stuck_ones_costs_the_others_little() -> None:
    """A hundred stuck runs in the partition of one that works."""

    @workflow
    async def naps() -> str:
        for _ in range(5):
            await sleep(1)
        return "rested"

    async with engines(partitions=1) as env:
        await env.begin([naps], [])
        for n in range(100):
            await env.client.start("nobody-knows", id=f"stuck-{n}")()
        handle = await env.client.start(naps, id="n")()
        before = env.clock.now_ms()
        assert await env.drive(handle.result()) == "rested"
        assert env.clock.now_ms() - before < 8_000


async def test_the_memory_of_an_engine_does_not_grow_with_a_stuck_runs_timer() -> None:
    """A due that cannot be delivered is read again with each horizon, and kept once."""
    async with engines(partitions=1) as env:
        first = await env.begin([sleeps], [])
        await env.client.start(sleeps, id="s")()
        await env.settle()
        await env.kill(first)
        session = await env.begin([fine], [])
        for _ in range(60):
            await env.advance(60)
        (owned,) = env.engine(session)._owned.values()
        assert len(owned.mailboxes["s"].deliveries) <= 1


@workflow
async def sleeps() -> None:
    await sleep(5)


async def test_a_question_that_a_closed_run_cannot_answer_leaves_no_mark_on_it() -> None:
    """Its code is gone from this worker: whoever asked is told, but a closed run has nothing to go on with."""
    async with engines(partitions=1) as env:
        first = await env.begin([fine], [work])
        handle = await env.client.start(fine, id="f")(1)
        assert await env.drive(handle.result()) == 1
        await env.kill(first)
        await env.begin([sleeps], [])
        with pytest.raises(RequestFailedError, match="no workflow 'fine'"):
            await env.drive(handle.query("anything"))
        assert await env.stuck("f") is None
        assert await env.client.list(stuck=True) == []


async def test_a_stuck_run_can_be_terminated_although_a_result_of_its_was_taken_by_others() -> None:
    """The answer to the hand-over of a local result was lost; the next one is refused, and must not stand in the way."""
    lost = [True]

    def plan(name: str, _number: int) -> str:
        if name == "complete" and lost[0]:
            lost[0] = False
            return "after"
        return ""

    gate = asyncio.Event()

    @activity(name="work")
    async def slow(n: int) -> int:
        await gate.wait()
        return n

    async with engines(partitions=1) as env:
        session = await env.begin([flow, fine], [slow], codec=Haunted(), store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        handle = await env.client.start(flow, id="f")(666)
        await env.settle()
        assert await env.stuck("f") is not None
        await env.kill(session)
        await env.begin([flow, fine], [slow], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        await env.settle()
        assert await env.tags("f") == ["RunStarted", "ActivityScheduled"]
        await overwrite(env, "f", b"{}", at=2)
        session = next(iter(env.live))
        env.engine(session)._cache.clear()
        gate.set()
        await env.settle()
        assert not lost[0]
        await handle.terminate("enough")
        with pytest.raises(RunTerminatedError):
            await env.drive(handle.result())


async def test_a_crowd_of_stuck_runs_whose_timers_are_due_does_not_hide_the_timers_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their dues stay in the store, in front of all later ones: a page of the dues must reach past them."""
    from durable._engine import intake

    monkeypatch.setattr(intake, "DUES_PAGE", 5)
    reads: list[int] = []

    def plan(name: str, _number: int) -> str:
        if name == "read_dues":
            reads.append(env.clock.now_ms())
        return ""

    @workflow
    async def naps() -> str:
        await sleep(100)
        return "rested"

    async with engines(partitions=1) as env:
        first = await env.begin([sleeps, naps], [])
        for n in range(12):
            await env.client.start(sleeps, id=f"s{n}")()
        handle = await env.client.start(naps, id="n")()
        await env.settle()
        await env.kill(first)
        await env.begin([naps], [], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        await env.advance(10)
        before = env.clock.now_ms()
        assert await env.drive(handle.result()) == "rested"
        assert env.clock.now_ms() - before < 102_000
        assert len(reads) < 100


async def test_retries_that_cannot_be_written_are_not_tried_in_a_hot_loop() -> None:
    """The store takes no commit for a while, and says so at once: each due retry waits a little before the next try."""
    from durable.errors import StoreReadOnlyError

    attempts = 0
    commits: list[int] = []

    @activity
    async def flaky() -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError("down")
        return attempts

    @workflow
    async def retries() -> int:
        return await flaky()

    class ReadOnly(FaultyStore):
        refusing = False

        async def commit(self, given: Any) -> Any:
            if not self.refusing:
                return await self._store.commit(given)
            commits.append(len(given))
            raise StoreReadOnlyError("read-only")

    async with engines(partitions=1) as env:
        store = ReadOnly(env.store, lambda _name, _number: "")
        await env.begin([retries], [flaky], store=store)  # type: ignore[arg-type]
        handle = await env.client.start(retries, id="r")()
        await env.settle()
        store.refusing = True
        for _ in range(20):
            await env.advance(0.5)
        assert 5 <= len(commits) <= 15
        store.refusing = False
        assert await env.drive(handle.result()) == 2
