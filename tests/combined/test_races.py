"""Races in an order that the test chooses: a call of the store is held back, something else happens, and it is let go.

Each is played both ways round: what comes before the commit is recorded counts, what comes after is told that it is late.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from durable import Client, Handle
from durable.author import Signal, Update, activity, continue_as_new, sleep, workflow
from durable.errors import RequestFailedError, RunCancelledError, RunClosedError, RunTimedOutError
from durable.history import RunForked, UpdateAccepted
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore
from tests.scenario_store import LOCAL, scenario_url

go = Signal("go")
number = Signal("number", int)
add = Update("add", int, int)
slow = Update("slow", int, int)
Open = Callable[[], AbstractAsyncContextManager[Engines]]


@pytest.fixture(params=[*LOCAL, f"{LOCAL[0]}, no cache"])
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens an environment on either store."""

    @asynccontextmanager
    async def opens() -> AsyncGenerator[Engines]:
        kind, _, cache = request.param.partition(", ")
        async with engines(scenario_url(kind), partitions=1) as env:
            env.cache = 0 if cache else None  # type: ignore[attr-defined]
            yield env

    return opens


STEP_S = 0.01
"""A disk takes real time: the clock of the test must not run ahead of it, to where answers are out of date."""


async def until(env: Engines, condition: Callable[[], Any]) -> None:
    """Wait until `condition()` is true, while hardly any time passes."""
    await env.until(condition, step_s=STEP_S)


async def drive(env: Engines, work: Any) -> Any:
    """Return what `work` returns; hardly any time passes meanwhile."""
    return await env.drive(work, step_s=STEP_S)


class Holding:
    """A store that holds the next call of one method back, until it is let go; then it does what `fate` says (`FaultyStore`)."""

    def __init__(self, env: Engines) -> None:
        self._env, self._method, self._fate = env, "", ""
        self._go_on: asyncio.Future[str] | None = None
        self._again = False
        self.reached = asyncio.Event()
        self.store: Any = FaultyStore(env.store, self._plan)

    def _plan(self, name: str, _number: int) -> Any:
        if name != self._method:
            return ""
        if self._go_on is not None and not self.reached.is_set():
            self.reached.set()
            return self._go_on
        fate, self._fate = self._fate, ""
        return fate

    def hold(self, method: str) -> None:
        """Hold the next call of `method` back."""
        self._method, self._fate, self.reached = method, "", asyncio.Event()
        self._go_on = asyncio.get_running_loop().create_future()

    async def until_held(self) -> None:
        """Wait until the call has come."""
        await until(self._env, self.reached.is_set)

    def let_go(self) -> None:
        """Make the call."""
        assert self._go_on is not None
        self._go_on.set_result("")
        self._go_on, self._method = None, ""

    def fail(self, method: str, fate: str) -> None:
        """Let the next call of `method` fail "before" or "after" it is applied."""
        self._method, self._fate, self._go_on = method, fate, None


async def until_inbox(env: Engines, count: int) -> None:
    """Wait until that many messages are in the inbox."""

    async def has_them() -> bool:
        return (await env.store.inspect.counts())["inbox"] == count

    await until(env, has_them)


async def nothing_is_left(env: Engines) -> bool:
    counts = await env.store.inspect.counts()
    return not any(counts[name] for name in ("inbox", "tasks", "dues", "outgoing"))


async def has_ended(env: Engines) -> bool:
    return await env.status("r") != "running"


async def ended(env: Engines, handle: Handle[Any], code: Any) -> list[str]:
    """The run is closed once, its history replays, and nothing waits for it any more; return the types of its events."""
    await until(env, lambda: nothing_is_left(env))
    history = await handle.history()
    tags = [type(item.event).__name__ for item in history]
    closes = ("RunCompleted", "RunFailed", "RunCancelled", "RunTerminated", "RunTimedOut")
    assert [tag for tag in tags if tag in closes] == tags[-1:]
    assert_replays(code, history)
    return tags


# --- cancel against completion


@activity
async def work(n: int) -> int:
    return n


@workflow
async def by_signal() -> str:
    await go.receive()
    return "done"


@workflow
async def by_activity() -> str:
    await go.receive()
    await work(1)
    return "done"


@workflow
async def by_timer() -> str:
    await go.receive()
    await sleep(5)
    return "done"


CLOSING = [(by_signal, 0), (by_activity, 1), (by_timer, 1)]
"""What ends a run, and how many commits there are between the signal and the closing one."""


async def at_its_end(env: Engines, holding: Holding, code: Any, commits: int) -> Handle[str]:
    """Bring a run to where its closing commit is on its way, and held."""
    await env.begin([code], [work], store=holding.store, cache_runs=env.cache)  # type: ignore[attr-defined]
    handle: Handle[str] = await env.client.start(code, id="r")()
    await until(env, lambda: env.tags("r"))
    holding.hold("commit")
    await handle.signal(go)
    for _ in range(commits):
        await holding.until_held()
        holding.let_go()
        holding.hold("commit")
        await env.settle()
        env.clock.advance(5)
    await holding.until_held()
    return handle


@pytest.mark.parametrize(("code", "commits"), CLOSING, ids=["signal", "activity", "timer"])
async def test_a_cancel_before_the_closing_commit_is_seen_by_the_run(opened: Open, code: Any, commits: int) -> None:
    """That commit is refused. What the code then sees first is as ever: what callers sent, in order; then what else happened."""
    async with opened() as env:
        holding = Holding(env)
        handle = await at_its_end(env, holding, code, commits)
        await handle.cancel("late")
        holding.let_go()
        if code is by_signal:
            assert await drive(env, handle.result()) == "done"
        else:
            with pytest.raises(RunCancelledError):
                await drive(env, handle.result())
        assert "CancelRequested" in await ended(env, handle, code)


@pytest.mark.parametrize(("code", "commits"), CLOSING, ids=["signal", "activity", "timer"])
async def test_a_cancel_after_the_closing_commit_is_told(opened: Open, code: Any, commits: int) -> None:
    """The run is closed, and says so; nothing is left in the inbox."""
    async with opened() as env:
        holding = Holding(env)
        handle = await at_its_end(env, holding, code, commits)
        holding.let_go()
        assert await drive(env, handle.result()) == "done"
        with pytest.raises(RunClosedError):
            await handle.cancel("late")
        assert "CancelRequested" not in await ended(env, handle, code)


@pytest.mark.parametrize("applied", [True, False])
async def test_a_cancel_while_the_outcome_of_the_closing_commit_is_unknown(opened: Open, applied: bool) -> None:
    """The engine sends it again: if it was applied, that is its answer; if not, the cancellation has come before it."""
    async with opened() as env:
        holding = Holding(env)
        await env.begin([by_signal], store=holding.store, cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(by_signal, id="r")()
        await until(env, lambda: env.tags("r"))
        holding.fail("commit", "after" if applied else "before")
        sent_before = holding.store.calls.count("commit")
        await handle.signal(go)
        await until(env, lambda: holding.store.calls.count("commit") > sent_before)
        if applied:
            await until(env, lambda: has_ended(env))
            with pytest.raises(RunClosedError):
                await handle.cancel("late")
        else:
            await handle.cancel("late")
        assert await drive(env, handle.result()) == "done"
        await until(env, lambda: holding.store.calls.count("commit") > sent_before + 1)
        assert ("CancelRequested" in await ended(env, handle, by_signal)) is not applied


# --- update against the run's time limit


@workflow
async def limited() -> None:
    total = 0

    @add.handler
    def on_add(n: int) -> int:
        nonlocal total
        total += n
        return total

    @slow.handler
    async def on_slow(n: int) -> int:
        await sleep(100)
        return n

    await go.receive()


async def begun_limited(env: Engines, holding: Holding) -> Handle[None]:
    await env.begin([limited], store=holding.store, cache_runs=env.cache)  # type: ignore[attr-defined]
    handle = await env.client.start(limited, id="r", run_timeout=60)()
    await until(env, lambda: env.tags("r"))
    return handle


async def timed_out(env: Engines, handle: Handle[None]) -> list[str]:
    with pytest.raises(RunTimedOutError):
        await drive(env, handle.result())
    return await ended(env, handle, limited)


@pytest.mark.parametrize("update", [add, slow], ids=["done at once", "under way"])
@pytest.mark.parametrize("first", ["update", "timeout"])
async def test_an_update_whose_commit_or_the_timeouts_is_on_its_way(opened: Open, first: str, update: Any) -> None:
    """Either way it was sent while the run was open: it is accepted, answered if its handler is that quick, and told else."""
    async with opened() as env:
        holding = Holding(env)
        handle = await begun_limited(env, holding)
        holding.hold("commit")
        if first == "timeout":
            env.clock.advance(60)
            await holding.until_held()
        sent = asyncio.ensure_future(handle.update(update, 7, timeout="1 hour"))
        if first == "update":
            await holding.until_held()
            env.clock.advance(60)
            await env.settle()
        await until_inbox(env, 1)
        holding.let_go()
        if update is add:
            assert await drive(env, sent) == 7
        else:
            with pytest.raises(RequestFailedError, match="ended as timed_out before the update 'slow'") as failed:
                await drive(env, sent)
            assert isinstance(failed.value.__cause__, RunTimedOutError)
        tags = await timed_out(env, handle)
        assert tags.count("UpdateAccepted") == 1
        assert tags.count("UpdateCompleted") == (update is add)


async def test_an_update_after_the_timeouts_commit_is_told(opened: Open) -> None:
    """The run is closed, and has no trace of it."""
    async with opened() as env:
        holding = Holding(env)
        handle = await begun_limited(env, holding)
        holding.hold("commit")
        env.clock.advance(60)
        await holding.until_held()
        holding.let_go()
        tags = await timed_out(env, handle)
        with pytest.raises(RunClosedError):
            await drive(env, handle.update(add, 7))
        assert tags == await ended(env, handle, limited)


# --- fork against the source, which goes on


NUMBERS = 3


@workflow
async def sums(count: int) -> int:
    total = 0
    for _ in range(count):
        total += await number.receive()
    return total


async def forked(env: Engines, fork: Handle[int], taken: int) -> int:
    """The fork has the start and `taken` numbers of its source. Send it 100 for each that it lacks, and return its result."""
    for _ in range(NUMBERS - taken):
        await fork.signal(number, 100)
    result = await drive(env, fork.result())
    tags = await ended(env, fork, sums)
    assert tags.index(RunForked.__name__) == 1 + taken
    return int(result)


async def begun_sums(env: Engines, store: Any = None) -> Handle[int]:
    """Begin a run that has got 1 and wants two more."""
    await env.begin([sums], store=store, cache_runs=env.cache)  # type: ignore[attr-defined]
    source = await env.client.start(sums, id="source")(NUMBERS)
    await send(env, source, 1)
    return source


async def send(env: Engines, source: Handle[int], n: int) -> None:
    """Send the `n`th number, which is `n`, and wait until the source has it in its history."""
    await source.signal(number, n)

    async def recorded() -> bool:
        return (await env.tags("source")).count("SignalReceived") == n

    await until(env, recorded)


async def source_ends(env: Engines, source: Handle[int], result: int) -> None:
    """The source has taken no notice of all that."""
    assert await drive(env, source.result()) == result
    assert RunForked.__name__ not in await ended(env, source, sums)


@pytest.mark.parametrize(("method", "taken", "result"), [("read", 2, 103), ("create", 1, 201)])
async def test_a_fork_that_reads_before_or_after_a_commit_of_its_source(
    opened: Open, method: str, taken: int, result: int
) -> None:
    """It takes the steps that it has read of: a commit before that is in it, one after is not. The source goes on."""
    async with opened() as env:
        source = await begun_sums(env)
        holding = Holding(env)
        holding.hold(method)
        asked = asyncio.ensure_future(Client(holding.store).handle("source", workflow=sums).fork(id="fork"))
        await holding.until_held()
        await send(env, source, 2)
        holding.let_go()
        fork = await drive(env, asked)
        assert await forked(env, fork, taken) == result
        await send(env, source, 3)
        await source_ends(env, source, 6)


async def test_a_fork_is_built_while_its_source_ends(opened: Open) -> None:
    """The engine reads the source's history after that has grown, and takes no more of it than was asked for."""
    async with opened() as env:
        holding = Holding(env)
        source = await begun_sums(env, holding.store)
        await send(env, source, 2)
        holding.hold("read")
        fork = await source.fork(id="fork")
        await holding.until_held()
        await send(env, source, 3)
        assert await drive(env, source.result()) == 6
        holding.let_go()
        assert await forked(env, fork, 2) == 103
        await source_ends(env, source, 6)


@pytest.mark.parametrize("applied", [True, False])
async def test_a_fork_while_a_commit_of_its_source_is_on_its_way(opened: Open, applied: bool) -> None:
    """What is not recorded is not there for it, and what comes of that commit does not matter to it."""
    async with opened() as env:
        holding = Holding(env)
        source = await begun_sums(env, holding.store)
        await send(env, source, 2)
        holding.hold("commit")
        await source.signal(number, 3)
        await holding.until_held()
        fork = await source.fork(id="fork")
        if not applied:
            await source.signal(number, 4)  # unread: the commit, which closes the run, is refused
        holding.let_go()
        assert await forked(env, fork, 2) == 103
        await source_ends(env, source, 6)
        assert (await env.tags("source")).count("SignalReceived") == (3 if applied else 4)


# --- start with update against continue-as-new


@workflow
async def rounds(so_far: int) -> int:
    total = so_far

    @add.handler
    def on_add(n: int) -> int:
        nonlocal total
        total += n
        return total

    @number.handler
    def on_number(n: int) -> None:
        nonlocal total
        total += n

    await go.receive()
    if total < 100:
        continue_as_new(total)
    return total


@pytest.mark.parametrize("when", ["before", "while", "after"])
async def test_a_start_with_an_update_meets_a_run_that_continues_as_new(opened: Open, when: str) -> None:
    """There is one chain, and one run of it carries the update out: a repeat of the call finds that one, and starts nothing."""
    async with opened() as env:
        holding = Holding(env)
        first = await env.client.start(rounds, id="c")(10)
        start = env.client.start_with_update(rounds, add, 7, id="c", update_id="u-1", timeout="1 hour")
        if when == "before":  # the change of runs is behind it in the inbox
            sent = asyncio.ensure_future(start(0))
            await until_inbox(env, 2)  # after the start
            await first.signal(go)
            await env.begin([rounds], cache_runs=env.cache)  # type: ignore[attr-defined]
        else:
            await env.begin([rounds], store=holding.store, cache_runs=env.cache)  # type: ignore[attr-defined]
            await until(env, lambda: env.tags("c"))
            holding.hold("commit")
            await first.signal(go)
            await holding.until_held()
            if when == "while":  # that commit is refused; the signal came first all the same, and the update goes along
                sent = asyncio.ensure_future(start(0))
                await until_inbox(env, 2)  # after the signal, which is read and not yet recorded
                holding.let_go()
            else:
                holding.let_go()

                async def changed() -> bool:
                    return (await first.describe()).status == "continued_as_new"

                await until(env, changed)
                sent = asyncio.ensure_future(start(0))
        update = await drive(env, sent)
        assert await drive(env, update.result()) == 17
        again = await drive(env, start(0))
        assert (again.run.run_id, await drive(env, again.result())) == (update.run.run_id, 17)
        latest = env.client.handle("c")
        await latest.signal(number, 100)
        await latest.signal(go)
        assert await drive(env, first.result()) == 117
        runs = await env.client.list(id_prefix="c")
        assert [run.status for run in runs] == ["completed", "continued_as_new"]
        which = runs[1] if when == "before" else runs[0]
        assert update.run.run_id == which.run_id
        accepted = 0
        for run in runs:
            history = await env.client.handle("c", run.run_id).history()
            accepted += sum(isinstance(item.event, UpdateAccepted) for item in history)
            assert_replays(rounds, history)
        assert accepted == 1
        await until(env, lambda: nothing_is_left(env))
