"""Executions of workflows that have children: what becomes of these is drawn, and told as by a real child."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample

from durable import Signal, activity, proxy, sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunAlreadyOpenError, RunClosedError, RunTerminatedError
from durable.history import ChildFailed, tag_of
from durable.testing import Completed, Execution, Failed, Waiting, executions, outcomes

word = Signal("word", str)
HUNT = settings(max_examples=200, deadline=None, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))


class Torn(Exception):
    """What a child declares."""


@activity
async def label(item: str) -> str: ...


@workflow(raises=[Torn])
async def pack(item: str) -> int:
    raise NotImplementedError("the code of a child is not run")


@workflow(timeout=60)
async def slow() -> int: ...


@workflow
async def two() -> list[Any]:
    first, second = await asyncio.gather(pack("a"), pack("b"), return_exceptions=True)
    return [first if isinstance(first, int) else -1, second if isinstance(second, int) else -1]


@workflow
async def careful() -> str:
    try:
        return str(await pack("a"))
    except ChildWorkflowError as error:
        return f"{type(error.__cause__).__name__}: {error.__cause__}"
    except RunAlreadyOpenError:
        return "taken"


@workflow
async def patient() -> str:
    try:
        return str(await slow())
    except ChildWorkflowError as error:
        return type(error.__cause__).__name__


@workflow
async def hasty(cancellation: str) -> str:
    try:
        async with asyncio.timeout(10):
            return str(await proxy(pack, cancellation=cancellation)("a"))  # type: ignore[call-overload]
    except TimeoutError:
        return "timeout"


@workflow
async def talks() -> str:
    child = await start_child(pack)("a")
    await child.signal(word, "hello")
    await child
    try:
        await child.signal(word, "late")
    except RunClosedError:
        return "closed"
    return "sent"


@workflow
async def named() -> str:
    try:
        child = await start_child(pack, id="one")("a")
    except RunAlreadyOpenError as error:
        return f"taken: {error}"
    try:
        return str(await child)
    except ChildWorkflowError as error:
        return type(error.__cause__).__name__


@workflow
async def unsettled() -> str:
    """Has a bug: a child that others end is not one that failed by itself."""
    try:
        return str(await pack("a"))
    except ChildWorkflowError as error:
        if isinstance(error.__cause__, RunTerminatedError):
            raise
        return "failed"


@workflow
async def forgets() -> int:
    """Has a bug: nothing is done about a child that fails."""
    await label("x")
    return await pack("a")


def told(flow: Any, *args: Any, **story: Any) -> Execution[Any]:
    """Return the execution of a story that is given as JSON data."""
    data = {"args": [list(args), {}], "otherwise": {"child pack": 7, "child slow": 1, "label": ""}, **story}
    return Execution.from_story(flow, msgspec.json.encode(data).decode())


def fate(**fields: Any) -> dict[str, Any]:
    """Return the story of one child `pack`."""
    return {"activities": {"child pack": [fields]}}


def test_children_end_when_the_story_says() -> None:
    """Two at a time, in virtual time; both are in the record of calls."""
    fates = [{"value": 1, "takes_ms": 3000}, {"failure": ["ValueError", "no"], "takes_ms": 1000}]
    execution = told(two, activities={"child pack": fates})
    assert execution.result == [1, -1]
    assert [tag_of(each.event) for each in execution.history] == [
        "RunStarted", "ChildStartRequested", "ChildStartRequested", "ChildStarted", "ChildStarted", "ChildFailed",
        "ChildCompleted", "RunCompleted",
    ]  # fmt: skip
    assert execution.duration.total_seconds() == 3
    assert [(call.status, call.args) for call in execution.calls_of(pack)] == [
        ("completed", ("a",)),
        ("failed", ("b",)),
    ]
    assert "starts child pack #1" in execution.timeline()


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"value": 3}, "3"),
        ({"failure": ["ValueError", "no"]}, "ValueError: no"),
        ({"failure": {"type": "durable.errors.RunAlreadyOpenError", "message": "open"}}, "taken"),
    ],
)
def test_each_end_reaches_the_code_as_that_of_a_real_child(fields: dict[str, Any], result: str) -> None:
    """A result, a failure, or a start that was refused."""
    assert told(careful, **fate(**fields)).result == result


def test_a_child_runs_into_its_time_limit() -> None:
    """As real ones do: not into that of an attempt."""
    execution = told(patient, activities={"child slow": [{"stuck": "running"}]})
    assert execution.result == "RunTimedOutError"
    assert execution.duration.total_seconds() == 60


@pytest.mark.parametrize(
    ("cancellation", "odd", "result", "seconds"),
    [
        ("wait", "", "timeout", 10),
        ("wait", "late", "5", 20),
        ("try", "late", "timeout", 10),
        ("abandon", "", "timeout", 10),
    ],
)
def test_a_cancelled_wait_ends_as_the_option_says(cancellation: str, odd: str, result: str, seconds: int) -> None:
    """A child that is asked ends by that, or completes all the same."""
    execution = told(hasty, cancellation, **fate(value=5, takes_ms=20_000, odd=odd))
    assert execution.result == result
    assert execution.duration.total_seconds() == seconds


def test_a_signal_to_a_child_that_has_ended_is_refused() -> None:
    """And one before that is delivered."""
    assert told(talks).result == "closed"


def test_an_end_that_is_told_twice_counts_once() -> None:
    """The second is dropped, as by the engine."""

    @workflow
    async def waits() -> int:
        result = await pack("a")
        await sleep(10)
        return result

    execution = told(waits, **fate(value=3, takes_ms=1000, odd="twice"))
    assert execution.result == 3
    assert "the end of child pack #1 is dropped: it came before" in execution.timeline()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(executions(two, activities={pack: outcomes(returns=lambda item: len(item), raises=[Torn("drawn")])}))
def test_drawn_executions_replay(execution: Execution[list[int]]) -> None:
    """With crashes, repeats and cancellations; the result is what the children came to."""
    if isinstance(execution.outcome, Completed):
        statuses = [call.status for call in execution.calls_of(pack)]
        assert [1 if status == "completed" else -1 for status in statuses] == execution.result
    else:
        assert not isinstance(execution.outcome, Waiting)


@pytest.mark.parametrize(
    ("ends", "result", "status", "kind"),
    [
        ("refused", "taken: workflow id 'one' is taken by an open run", "failed", "ChildStartFailed"),
        ("cancelled", "RunCancelledError", "cancelled", "ChildFailed"),
        ("terminated", "RunTerminatedError", "failed", "ChildFailed"),
    ],
)
def test_others_may_refuse_or_end_a_child(ends: str, result: str, status: str, kind: str) -> None:
    """Each in its own event, as from a real child; one whose id is derived is always started."""
    execution = told(named, **fate(ends=ends, value=3, takes_ms=2_000))
    assert execution.result == result
    assert kind in [tag_of(each.event) for each in execution.history]
    (call,) = execution.calls_of(pack)
    assert (call.status, call.effects, call.attempts[0].how) == (status, 0, ends)
    assert execution.duration.total_seconds() == (0 if ends == "refused" else 2)
    if ends == "refused":
        assert told(careful, **fate(ends=ends, value=3)).result == "3"


def test_every_event_of_a_child_is_drawn() -> None:
    """In a few hundred executions."""
    met: set[str] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, phases=(Phase.generate,))
    @given(executions(named))
    def draw(execution: Execution[str]) -> None:
        for each in execution.history:
            event = each.event
            met.add(f"{tag_of(event)} {event.status}" if isinstance(event, ChildFailed) else tag_of(event))

    draw()
    ended = {"ChildCompleted", "ChildFailed failed", "ChildFailed cancelled", "ChildFailed terminated"}
    assert met >= {"ChildStartRequested", "ChildStarted", "ChildStartFailed", "ChildCancelRequested", *ended}, met


def test_a_termination_that_nobody_thought_of_is_found() -> None:
    """It shrinks to a child that is terminated, and nothing else; without `cancels` nobody else ends a child."""

    def failed(execution: Execution[Any]) -> bool:
        return isinstance(execution.outcome, Failed)

    found = find(executions(unsettled), failed, settings=HUNT)
    assert [each.ends for each in found.story.activities["child pack"]] == ["terminated"]
    assert found.story.arrivals == []
    with pytest.raises(NoSuchExample):
        find(executions(unsettled, cancels=False), failed, settings=HUNT)


def test_a_failure_of_a_child_that_nobody_thought_of_is_found() -> None:
    """It shrinks to a child that fails, and nothing else."""
    found = find(
        executions(forgets, cancels=False, crashes=False, duplicates=False),
        lambda execution: any(call.status == "failed" for call in execution.calls_of(pack)),
        settings=HUNT,
    )
    assert not found.completed
    assert [call.activity for call in found.calls] == ["label", "child pack"]
    assert found.story.arrivals == []
