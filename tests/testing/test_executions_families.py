"""Executions in which the own code of children is run: in the same time, with fates drawn for their activities too."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from durable import Signal, activity, continue_as_new, external, info, proxy, sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunAlreadyOpenError, RunClosedError, RunOutcomeError
from durable.history import ChildStartRequested, RunStarted, tag_of
from durable.testing import (
    Cancelled,
    Completed,
    Execution,
    Failed,
    Terminated,
    TestEnvironment,
    assert_replays,
    executions,
    outcomes,
)

word = Signal("word", str)
DRAW = settings(max_examples=150, deadline=None, database=None, derandomize=True, phases=(Phase.generate,))
HUNT = settings(max_examples=300, deadline=None, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))


@activity
async def reserve(item: str) -> int: ...


@activity
async def release(item: str) -> None: ...


@workflow
async def pack(item: str) -> int:
    """Settles what it has reserved, unless it is stopped without being asked."""
    try:
        number = await reserve(item)
        await sleep(10)
    except BaseException:
        await release(item)
        raise
    return number


@workflow
async def leaky(item: str) -> int:
    """Has a bug: what was reserved is kept when it is cancelled."""
    number = await reserve(item)
    await sleep(10)
    return number


@workflow
async def order(item: str) -> int:
    return await pack(item)


@workflow
async def leaky_order(item: str) -> int:
    return await leaky(item)


@workflow
async def hasty(parent_close: str) -> str:
    await start_child(pack, parent_close=parent_close)("a")  # type: ignore[call-overload]
    await sleep(4)
    return "gone"


@workflow
async def impatient(cancellation: str) -> str:
    try:
        async with asyncio.timeout(4):
            return str(await proxy(pack, cancellation=cancellation)("a"))  # type: ignore[call-overload]
    except TimeoutError:
        return "timeout"


@workflow
async def listener() -> str:
    heard = await word.receive()
    parent = info().parent
    assert parent is not None
    await external(parent.workflow_id).signal(word, f"{heard}!")
    return heard


@workflow
async def talker() -> str:
    child = await start_child(listener)()
    await child.signal(word, "hello")
    answer = await word.receive()
    await child
    try:
        await child.signal(word, "late")
    except RunClosedError:
        return f"{answer} closed"
    return answer


@workflow
async def twice() -> str:
    first = await start_child(pack, id="one")("a")
    try:
        await start_child(pack, id="one")("b")
    except RunAlreadyOpenError:
        await first
        return str(await proxy(pack, id="one")("c"))
    return "two"


@workflow
async def counts(n: int) -> int:
    await sleep(1)
    if n < 3:
        continue_as_new(n + 1)
    return n


@workflow
async def counted() -> int:
    return await counts(1)


@workflow
async def grand(item: str) -> str:
    try:
        return str(await order(item))
    except ChildWorkflowError as error:
        return type(error.__cause__).__name__


def told(flow: Any, *args: Any, own: tuple[Any, ...] = (pack,), **story: Any) -> Execution[Any]:
    """Return the execution in which the code of each child in `own` is run, as often as it is started."""
    fates: dict[str, Any] = {f"child {each.name}": [{"own": True}] * 3 for each in own}
    fates |= story.pop("activities", {})
    otherwise = {"reserve": 7, "release": None}
    data = {"args": [list(args), {}], "activities": fates, "otherwise": otherwise, **story}
    return Execution.from_story(flow, msgspec.json.encode(data).decode(), workflows=own)


def tags(execution: Execution[Any]) -> list[str]:
    return [tag_of(each.event) for each in execution.history]


def workflow_id(execution: Execution[Any]) -> str:
    started = execution.history[0].event
    assert isinstance(started, RunStarted)
    return started.workflow_id


def test_the_code_of_a_child_is_run_in_the_same_time() -> None:
    """As an execution of its own, with its calls; the parent hears of its start and its end."""
    execution = told(order, "a", activities={"reserve": [{"takes_ms": 5_000, "value": 3}]})
    assert execution.result == 3
    assert tags(execution) == ["RunStarted", "ChildStartRequested", "ChildStarted", "ChildCompleted", "RunCompleted"]
    assert execution.duration.total_seconds() == 15
    (child,) = execution.children
    assert child.workflow is pack
    assert (child.outcome, child.effects_of(reserve)) == (Completed(3), 1)
    (call,) = execution.calls_of(pack)
    assert (call.status, call.effects, call.attempts[0].how) == ("completed", 1, "returned")
    assert "Timeline of pack:" in execution.timeline()
    assert repr(execution).endswith(", workflows=[pack])")
    assert Execution.from_story(order, execution.story, workflows=[pack]).timeline() == execution.timeline()
    with pytest.raises(ValueError, match="pass workflows="):
        Execution.from_story(order, execution.story)


def test_a_failure_goes_up_through_all_parents() -> None:
    """To whoever catches it."""
    execution = told(grand, "a", own=(order, pack), activities={"reserve": [{"failure": ["TypeError", "no"]}]})
    assert execution.result == "ChildWorkflowError"
    assert [child.workflow.name for child in execution.children] == ["order", "pack"]
    assert all(isinstance(child.outcome, Failed) for child in execution.children)
    assert execution.children[1].calls_of(release)


@pytest.mark.parametrize(
    ("policy", "outcome", "seconds"),
    [("terminate", Terminated, 4), ("cancel", Cancelled, 4), ("abandon", Completed, 10)],
)
def test_the_close_of_a_parent_reaches_its_children(policy: str, outcome: type[Any], seconds: int) -> None:
    """By their policy."""
    execution = told(hasty, policy)
    assert execution.result == "gone"
    assert execution.duration.total_seconds() == 4
    (child,) = execution.children
    assert isinstance(child.outcome, outcome)
    assert child.duration.total_seconds() == seconds
    assert len(child.calls_of(release)) == (policy == "cancel")


@pytest.mark.parametrize(
    ("cancellation", "outcome"), [("wait", Cancelled), ("try", Terminated), ("abandon", Terminated)]
)
def test_a_cancellation_reaches_the_code_of_a_child(cancellation: str, outcome: type[Any]) -> None:
    """Which cleans up, if its parent waits for that; else the close of the parent ends it."""
    execution = told(impatient, cancellation, activities={"release": [{"takes_ms": 1_000, "value": None}]})
    assert execution.result == "timeout"
    (child,) = execution.children
    assert isinstance(child.outcome, outcome)
    assert ("CancelRequested" in tags(child)) == (cancellation != "abandon")
    assert execution.duration.total_seconds() == (5 if cancellation == "wait" else 4)


def test_signals_go_both_ways() -> None:
    """Until the child has ended."""
    execution = told(talker, own=(listener,))
    assert execution.result == "hello! closed"
    assert "SignalReceived" in tags(execution.children[0])


def test_an_id_that_is_taken_refuses_the_start() -> None:
    """While the run is open, and no longer."""
    execution = told(twice)
    assert execution.result == "7"
    assert "ChildStartFailed" in tags(execution)
    assert [call.attempts[0].how for call in execution.calls] == ["returned", "refused", "returned"]
    assert len(execution.children) == 2


def test_a_child_may_continue_as_new() -> None:
    """Its parent hears of the end of the last run."""
    execution = told(counted, own=(counts,))
    assert execution.result == 3
    assert execution.duration.total_seconds() == 3
    assert len(execution.children) == 3


def test_a_child_that_is_run_is_replayed_at_crashes() -> None:
    """Its worker dies as that of the parent does."""
    execution = told(order, "a", crashes=[{"step": 0}])
    assert execution.result == 7
    assert execution.crashes >= 2
    assert execution.children[0].crashes >= 2


FAMILIES: list[tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = [
    (order, ("a",), (pack,)),
    (grand, ("a",), (order, pack)),
    *((hasty, (policy,), (pack,)) for policy in ("terminate", "cancel", "abandon")),
    *((impatient, (cancellation,), (pack,)) for cancellation in ("wait", "try", "abandon")),
    (talker, (), (listener,)),
    (twice, (), (pack,)),
    (counted, (), (counts,)),
]


@pytest.mark.parametrize(("flow", "args", "own"), FAMILIES, ids=lambda value: getattr(value, "name", None))
async def test_it_is_as_in_a_store(flow: Any, args: tuple[Any, ...], own: tuple[Any, ...]) -> None:
    """A worker records the same histories, of the parent and of its children."""
    execution = told(flow, *args, own=own)
    async with TestEnvironment(workflows=[flow, *own], activities=[reserve, release]) as env:
        env.fake(reserve, returns=7)
        env.fake(release, returns=None)
        handle = await env.client.start(flow, id="the-run")(*args)
        assert await handle.result() == execution.result
        assert [tag_of(each.event) for each in await handle.history()] == tags(execution)
        asked = [each.event for each in await handle.history() if isinstance(each.event, ChildStartRequested)]
        drawn = [each.event for each in execution.history if isinstance(each.event, ChildStartRequested)]
        latest = {workflow_id(run): run for run in execution.children}
        for real, made in zip(asked, drawn, strict=True):
            child = env.client.handle(real.workflow_id)
            with contextlib.suppress(RunOutcomeError):
                await child.result()
            assert [tag_of(each.event) for each in await child.history()] == tags(latest[made.workflow_id])


@settings(DRAW, max_examples=60)
@given(executions(impatient, st.just("wait"), workflows=[pack], activities={reserve: outcomes(returns=1)}))
def test_drawn_families_replay_and_are_made_again(execution: Execution[str]) -> None:
    """Bit by bit, parents and children; who was told of what is reserved releases it, unless all went well."""
    assert_replays(execution)
    for child in execution.children:
        assert_replays(child)
        held = [call for call in child.calls_of(reserve) if call.status == "completed"]
        if held and isinstance(child.outcome, Cancelled | Failed):
            assert child.calls_of(release)
    again = Execution.from_story(impatient, execution.story, workflows=[pack])
    assert again.timeline() == execution.timeline()


def test_outcomes_and_code_are_drawn_side_by_side() -> None:
    """Where both are given; with `workflows` alone the code is always run."""

    def met(**options: Any) -> Counter[bool]:
        found: Counter[bool] = Counter()

        @DRAW
        @given(executions(order, workflows=[pack], cancels=False, crashes=False, **options))
        def draw(execution: Execution[int]) -> None:
            found[bool(execution.children)] += 1

        draw()
        return found

    assert met().keys() == {True}
    assert met(activities={pack: outcomes(returns=5)}).keys() == {True, False}


def test_a_bug_in_a_child_that_only_its_parents_cancellation_shows_is_found() -> None:
    """It shrinks to one cancellation, and nothing else."""
    options: dict[str, Any] = {"activities": {reserve: outcomes(returns=1)}, "args": st.just("a")}

    def kept(execution: Execution[Any]) -> bool:
        return any(
            isinstance(child.outcome, Cancelled) and child.effects_of(reserve) and not child.calls_of(release)
            for child in execution.children
        )

    found = find(executions(leaky_order, workflows=[leaky], **options), kept, settings=HUNT)
    assert len(found.story.arrivals) == 1
    assert found.story.crashes == []
    assert kept(Execution.from_story(leaky_order, str(found.story), workflows=[leaky]))
