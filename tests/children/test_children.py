"""Child workflows on real engines: started, awaited, signalled; in one partition or over several, in memory and in a file."""

import asyncio

import pytest

from durable._log import partition_of
from durable.author import Signal, Workflow, activity, proxy, sleep, start_child, workflow
from durable.errors import (
    ChildWorkflowError,
    EncodeError,
    InvalidCallError,
    PayloadTooLargeError,
    RunAlreadyOpenError,
    RunClosedError,
    RunFailedError,
)
from durable.testing import replay
from tests.engine.env import Engines, engines
from tests.scenario_store import STORES, scenario_url

word = Signal("word", str)


class Refused(Exception):
    """What a child raises and declares."""


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def double(x: int) -> int:
    await sleep(5)
    return await add(x, x)


@workflow(raises=[Refused])
async def refuses(why: str) -> None:
    raise Refused(why)


@workflow
async def listener(n: int) -> list[str]:
    return [await word.receive() for _ in range(n)]


@workflow
async def calls(x: int) -> int:
    return await double(x) + await double(x + 1)


@workflow
async def fan_out(n: int) -> int:
    return sum(await asyncio.gather(*(double(k) for k in range(n))))


@workflow
async def grand(depth: int) -> int:
    return 1 if depth == 0 else 1 + await grand(depth - 1)


ALL: list[Workflow[..., object]] = [double, refuses, listener, calls, fan_out, grand]


async def finished(env: Engines, flow: Workflow[..., object], *args: object, id: str = "p") -> object:
    """Run `flow` to its end, check that its history replays, and return its result."""
    handle = await env.client.start(flow, id=id)(*args)
    result = await env.drive(handle.result())
    assert replay(flow, await handle.history()).ok
    return result


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("where", STORES)
async def test_a_child_is_awaited_like_any_coroutine(where: str, partitions: int, cache: int | None) -> None:
    """Its own history has its work, the parent's has its start and its result; the outbox is empty in the end."""
    async with engines(scenario_url(where), partitions=partitions) as env:
        await env.begin(ALL, [add], cache_runs=cache)
        assert await finished(env, calls, 3) == 14
        assert await env.tags("p") == [
            "RunStarted", "ChildStartRequested", "ChildStarted", "ChildCompleted",
            "ChildStartRequested", "ChildStarted", "ChildCompleted", "RunCompleted",
        ]  # fmt: skip
        await env.until(lambda: empty(env))


async def empty(env: Engines) -> bool:
    """Return whether nothing is under way."""
    counts = await env.store.inspect.counts()
    return not any(counts[kind] for kind in ("inbox", "outgoing", "tasks", "dues"))


async def test_the_child_knows_its_parent_and_has_an_id_that_no_other_run_gives() -> None:
    """The derived id holds the parent's, a part of its run's and the command's number: a second run has other children."""

    @workflow
    async def leaves() -> str:
        child = await start_child(listener, parent_close="abandon")(1)
        return child.workflow_id

    async with engines() as env:
        await env.begin([leaves, listener])
        first = await finished(env, leaves)
        second = await finished(env, leaves)
        assert str(first).startswith("p/")
        assert str(first).endswith("/1")
        assert first != second
        assert await env.status(str(first)) == await env.status(str(second)) == "running"
        described = await env.client.handle(str(second)).describe()
        parent = await env.client.handle("p").describe()
        assert described.parent is not None
        assert (described.parent.workflow_id, described.parent.run_id) == ("p", parent.run_id)
        assert parent.parent is None


async def test_a_hundred_children_run_side_by_side() -> None:
    """They sleep at the same time: all are done after one sleep."""
    async with engines(partitions=4) as env:
        env.spins = 1_000
        await env.begin(ALL, [add])
        before = env.clock.now_ms()
        assert await finished(env, fan_out, 100) == 9_900
        assert env.clock.now_ms() - before < 10_000
        await env.until(lambda: empty(env))


async def test_children_have_children() -> None:
    """Six generations."""
    async with engines(partitions=3) as env:
        await env.begin(ALL, [add])
        assert await finished(env, grand, 5) == 6


async def test_a_declared_error_of_the_child_is_the_cause_in_its_parent() -> None:
    """`ChildWorkflowError` names the child, and its cause is of the child's own class."""

    @workflow
    async def asks() -> str:
        try:
            await proxy(refuses, id="kid")("too late")
        except ChildWorkflowError as error:
            assert isinstance(error.__cause__, Refused)
            return f"{error.workflow_id}: {error}; {error.__cause__}"
        return ""

    async with engines() as env:
        await env.begin([asks, refuses])
        told = await finished(env, asks)
        assert told == "kid: child refuses 'kid' failed: tests.children.test_children.Refused: too late; too late"


async def test_a_child_that_is_terminated_or_times_out_fails_its_parents_await() -> None:
    """The cause says how it ended."""

    @workflow
    async def waits() -> list[str]:
        told: list[str] = []
        for call in (proxy(listener, id="a"), proxy(listener, id="b", run_timeout=60)):
            try:
                await call(1)
            except ChildWorkflowError as error:
                told.append(type(error.__cause__).__name__)
        return told

    async with engines() as env:
        await env.begin([waits, listener])
        handle = await env.client.start(waits, id="p")()
        await env.settle()
        await env.client.handle("a").terminate("enough")
        assert await env.drive(handle.result()) == ["RunTerminatedError", "RunTimedOutError"]
        assert replay(waits, await handle.history()).ok


async def test_a_handle_gives_the_ids_and_takes_signals() -> None:
    """Signals arrive in order, in the child and in no other run."""

    @workflow
    async def talks() -> list[object]:
        child = await start_child(listener, id="kid")(3)
        for each in ("a", "b", "c"):
            await child.signal(word, each)
        result = await child
        assert result == await child.result()
        try:
            await child.signal(word, "late")
        except RunClosedError:
            return [child.workflow_id, bool(child.run_id), result]
        return []

    async with engines(partitions=4) as env:
        await env.begin([talks, listener])
        assert await finished(env, talks) == ["kid", True, ["a", "b", "c"]]


async def test_a_signal_to_a_child_whose_id_another_run_has_by_now_does_not_reach_that_one() -> None:
    """The child has ended, unknown to its parent's code; a stranger has started under its id."""

    @workflow
    async def talks() -> str:
        child = await start_child(listener, id="kid")(1)
        await word.receive()
        try:
            await child.signal(word, "for the child")
        except RunClosedError:
            return "closed"
        return "sent"

    async with engines() as env:
        await env.begin([talks, listener])
        handle = await env.client.start(talks, id="p")()
        await env.settle()
        await env.client.handle("kid").signal(word, "end")
        await env.settle()
        stranger = await env.client.start(listener, id="kid")(1)
        await env.settle()
        await handle.signal(word, "go")
        assert await env.drive(handle.result()) == "closed"
        assert (await stranger.describe()).status == "running"


async def test_a_child_by_name_on_another_queue() -> None:
    """Only its name is known here, and what it returns; its worker is elsewhere."""

    @workflow
    async def sends() -> int:
        child = await start_child("double", returns=int, queue="far")(4)
        return await child

    async with engines() as env:
        await env.begin([sends])
        await env.begin([double], [add], queue="far")
        assert await finished(env, sends) == 8


async def test_a_child_without_a_worker_waits_until_there_is_one() -> None:
    """Nothing is lost, and nobody is told that it failed."""

    @workflow
    async def sends() -> int:
        return await proxy(double, queue="far")(4)

    async with engines() as env:
        await env.begin([sends])
        handle = await env.client.start(sends, id="p")()
        await env.advance(60)
        assert await env.tags("p") == ["RunStarted", "ChildStartRequested", "ChildStarted"]
        await env.begin([double], [add], queue="far")
        assert await env.drive(handle.result()) == 8


# --- what is refused


async def test_an_id_that_is_taken_is_told_to_the_parent() -> None:
    """The error names the id and the run that has it; the parent goes on."""

    @workflow
    async def clashes() -> str:
        try:
            await start_child(listener, id="taken")(1)
        except RunAlreadyOpenError as error:
            return str(error)
        return ""

    @workflow
    async def clashes_too() -> str:
        try:
            await proxy(listener, id="taken")(1)
        except RunAlreadyOpenError as error:
            return str(error)
        return ""

    async with engines() as env:
        await env.begin([clashes, clashes_too, listener])
        other = await env.client.start(listener, id="taken")(1)
        for flow in (clashes, clashes_too):
            told = str(await finished(env, flow, id=flow.name))
            assert "'taken'" in told
            assert str(other.run_id) in told
            assert "listener" in told
            assert "ChildStartFailed" in await env.tags(flow.name)


async def test_a_cycle_is_refused_by_name() -> None:
    """A run cannot be its own child, nor the parent of one of its ancestors."""

    @workflow
    async def own() -> str:
        try:
            await proxy(own, id="p")()
        except InvalidCallError as error:
            return str(error)
        return ""

    @workflow
    async def top() -> str:
        return await proxy(middle, id="mid")()

    @workflow
    async def middle() -> str:
        return await proxy(bottom, id="low")()

    @workflow
    async def bottom() -> str:
        try:
            await proxy(top, id="high")()
        except RunAlreadyOpenError as error:
            return str(error)
        return ""

    async with engines() as env:
        await env.begin([own, top, middle, bottom])
        assert "'p'" in str(await finished(env, own))
        told = str(await finished(env, top, id="high"))
        assert "'high'" in told
        assert "'low'" in told
        assert "cycle" in told


async def test_arguments_that_do_not_fit_are_refused_at_the_call() -> None:
    """Nothing is recorded, and the numbering goes on the same on replay."""

    @workflow
    async def tries() -> list[str]:
        told: list[str] = []
        for bad in ("three", object(), "x" * 3_000_000):
            try:
                await (refuses(bad) if isinstance(bad, str) and len(bad) > 10 else double(bad))  # type: ignore[arg-type]
            except (EncodeError, PayloadTooLargeError) as error:
                told.append(type(error).__name__)
        return [*told, str(await double(1))]

    async with engines() as env:
        await env.begin([tries, double, refuses], [add])
        assert await finished(env, tries) == ["EncodeError", "EncodeError", "PayloadTooLargeError", "2"]


async def test_a_result_of_another_type_makes_the_parent_stuck() -> None:
    """It is not the run's own failure; with the right type it goes on."""

    @workflow(name="reads")
    async def wrong() -> int:
        child = await start_child("listener", returns=int)(1)
        await child.signal(word, "text")
        return await child

    @workflow(name="reads")
    async def right() -> list[str]:
        child = await start_child("listener", returns=list[str])(1)
        await child.signal(word, "text")
        return await child  # type: ignore[no-any-return]

    async with engines() as env:
        first = await env.begin([wrong, listener])
        handle = await env.client.start("reads", id="p")()
        await env.advance(1)
        assert "the result of child listener" in str(await env.stuck("p"))
        await env.kill(first)
        await env.begin([right, listener])
        assert await env.drive(handle.result()) == ["text"]


async def test_an_error_of_a_child_that_nobody_catches_fails_the_parent() -> None:
    """With the whole chain of causes."""

    @workflow
    async def careless() -> None:
        await refuses("no")

    async with engines() as env:
        await env.begin([careless, refuses])
        handle = await env.client.start(careless, id="p")()
        with pytest.raises(RunFailedError) as caught:
            await env.drive(handle.result())
        assert isinstance(caught.value.__cause__, ChildWorkflowError)


async def test_partitions_differ_in_these_tests() -> None:
    """The tests above with several partitions do cross them."""
    assert len({partition_of(f"p/0000000{n}/{n}", 4) for n in range(1, 5)}) > 1
