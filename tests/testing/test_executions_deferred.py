"""Executions of workflows whose activities end by `complete_later()`: the holders of tokens say what the story tells."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import durable
from durable import RetryPolicy, activity, activity_info, complete_later, local, proxy, sleep, workflow
from durable.errors import ActivityError
from durable.history import (
    ActivityCompleted,
    ActivityDeferred,
    ActivityFailed,
    ActivityHeartbeatRecorded,
    ActivityRetryScheduled,
    ActivityScheduled,
    tag_of,
)
from durable.testing import Completed, Execution, assert_replays, executions, outcomes

QUICK = RetryPolicy(initial_interval=1, max_attempts=2, jitter=0)


@activity(timeout=100, heartbeat_timeout=10, retry=QUICK)
async def build(what: str) -> str:
    activity_info()
    return complete_later()


@activity
async def ring(what: str) -> int:
    return later()


def later() -> Any:
    return durable.complete_later()


@activity
async def plain(what: str) -> int: ...


@workflow
async def builds(what: str) -> str:
    try:
        return await build(what)
    except ActivityError as error:
        return f"{type(error).__name__}: {error.__cause__}"


@workflow
async def lingers(what: str) -> str:
    built = await build(what)
    await sleep(100)
    return built


@workflow
async def hasty(cancellation: str) -> str:
    try:
        async with asyncio.timeout(5):
            return await proxy(build, cancellation=cancellation)("a")  # type: ignore[call-overload]
    except TimeoutError:
        return "timeout"


@workflow
async def both(what: str) -> int:
    return await local(plain)(what) + await plain(what)


@workflow
async def rings(what: str) -> int:
    return await ring(what)


@workflow
async def trusts(what: str) -> str:
    """Has a bug: who holds the token may say that the work has stopped, though nobody asked for that."""
    try:
        return await build(what)
    except ActivityError as error:
        assert error.__cause__ is not None
        if isinstance(error.__cause__, TimeoutError | ConnectionError):
            return "later"
        raise


def told(flow: Any, *fates: dict[str, Any], args: list[Any] | None = None, name: str = "build") -> Execution[Any]:
    """Return the execution in which the attempts have these fates."""
    otherwise = {"build": "house", "plain": 1, "ring": 1}
    story: dict[str, Any] = {"args": [args or ["a"], {}], "activities": {name: fates}, "otherwise": otherwise}
    return Execution.from_story(flow, msgspec.json.encode(story).decode())


def tags(execution: Execution[Any]) -> list[str]:
    """Return what happened to the activity."""
    return [tag_of(each.event) for each in execution.history if getattr(each.event, "id", 0) == 1]


def test_an_attempt_is_left_to_others_and_completed_by_them() -> None:
    """The code ends, heartbeats come, and then the result, at equal distances."""
    execution = told(builds, {"later": "ends", "beats": 2, "takes_ms": 40_000, "value": "hut"})
    assert execution.result == "hut"
    assert tags(execution) == [
        "ActivityScheduled",
        "ActivityDeferred",
        "ActivityHeartbeatRecorded",
        "ActivityCompleted",
    ]
    assert execution.duration.total_seconds() == 40  # the second heartbeat says nothing, but that it goes on
    (attempt,) = execution.calls[0].attempts
    assert (attempt.how, attempt.effects, attempt.deferred) == ("returned", 1, True)
    assert attempt.ended is not None
    assert attempt.ended.total_seconds() == 40
    assert "build #1 was left to others" in execution.timeline()
    assert "build #1 is alive: 1" in execution.timeline()


def test_a_holder_that_is_silent_for_too_long_is_given_up() -> None:
    """The heartbeat limit ends the first attempt; the holder of the second one says in time that it goes on."""
    execution = told(
        builds,
        {"later": "ends", "takes_ms": 40_000, "value": "hut"},
        {"later": "ends", "beats": 2, "takes_ms": 36_000, "value": "hall"},
    )
    assert execution.result == "hall"
    assert execution.duration.total_seconds() == 20 + 10 + 1 + 36
    first, second = execution.calls[0].attempts
    assert (first.how, first.effects, second.how) == ("ran out of time", 0, "returned")
    assert "no heartbeat within 10 s" in execution.timeline()


@pytest.mark.parametrize(("odd", "effects"), [("", 0), ("late", 1)])
def test_what_the_holder_says_after_its_time_is_dropped(odd: str, effects: int) -> None:
    """It took effect all the same, if it says so."""
    execution = told(lingers, {"later": "ends", "takes_ms": 40_000, "value": "hut", "odd": odd})
    assert execution.result == "house"
    assert execution.calls[0].attempts[0].effects == effects
    assert ("a result of build #1 is dropped" in execution.timeline()) == bool(effects)


@pytest.mark.parametrize("stuck", [{"odd": "late", "value": "hut"}, {}])
def test_a_holder_that_never_says_anything(stuck: dict[str, Any]) -> None:
    """It hangs until a time limit ends it; both attempts do so here."""
    execution = told(builds, {"later": "ends", "stuck": "running", "always": True, "beats": 1, **stuck})
    assert execution.result == "ActivityTimeoutError: no heartbeat within 10 s"
    first, second = execution.calls[0].attempts
    assert first.how == "ran out of time"
    assert second.how == ("given up, but took effect" if stuck else "ran out of time (heartbeat)")
    assert execution.effects_of(build) == len(stuck) // 2


def test_an_end_that_is_said_twice_counts_once() -> None:
    """So does the first of a result and a word of its deferral that comes after it."""
    execution = told(lingers, {"later": "ends", "takes_ms": 10_000, "value": "hut", "odd": "twice"})
    assert execution.result == "hut"
    assert "a result of build #1 is dropped: it came before" in execution.timeline()
    first = told(lingers, {"later": "first", "beats": 1, "takes_ms": 10_000, "value": "hut"})
    assert first.result == "hut"
    assert tags(first) == ["ActivityScheduled", "ActivityHeartbeatRecorded", "ActivityCompleted"]
    assert "word that it was left to others of build #1 is dropped" in first.timeline()


def test_a_failure_by_the_holder_is_retried() -> None:
    """By the policy; and if it is said before the code has ended, the word of its deferral is not that of the next attempt."""
    for later in ("ends", "first"):
        fate = {"later": later, "takes_ms": 8_000, "failure": ["ConnectionError", "no"]}
        execution = told(builds, fate, {"takes_ms": 50_000, "value": "hut"})
        assert execution.result == "hut"
        assert tags(execution)[-2:] == ["ActivityRetryScheduled", "ActivityCompleted"]
        assert [attempt.how for attempt in execution.calls[0].attempts] == ["raised ConnectionError", "returned"]


def test_a_holder_that_says_it_stopped_although_nobody_asked() -> None:
    """The activity fails, and is not retried."""
    execution = told(builds, {"later": "stops"})
    assert "nobody had cancelled it" in execution.result
    assert [(attempt.how, attempt.effects) for attempt in execution.calls[0].attempts] == [("stopped", 0)]


@pytest.mark.parametrize(
    ("cancellation", "odd", "result", "how", "seconds"),
    [
        ("try", "", "timeout", "given up", 5),
        ("try", "late", "timeout", "given up, but took effect", 5),
        ("abandon", "", "timeout", "running", 5),
        ("wait", "", "timeout", "stopped", 6),
        ("wait", "late", "hut", "returned", 9),
    ],
)
def test_a_holder_hears_of_a_cancellation(cancellation: str, odd: str, result: str, how: str, seconds: int) -> None:
    """At its next heartbeat, where the run waits for the end; unless it is too late for it to stop."""
    fate = {"later": "ends", "beats": 1, "takes_ms": 9_000, "value": "hut", "odd": odd}
    execution = told(hasty, fate, args=[cancellation])
    assert execution.result == result
    assert execution.calls[0].attempts[0].how.startswith(how.partition(",")[0])
    assert execution.effects_of(build) == bool(odd)
    assert execution.duration.total_seconds() == seconds


def test_only_activities_with_a_token_are_left_to_others() -> None:
    """A local one ends within its step; one that has no limit is not left to somebody who never says anything."""
    execution = told(both, {"later": "ends"}, {"later": "ends"}, name="plain")
    assert [attempt.deferred for call in execution.calls for attempt in call.attempts] == [False, True]
    assert told(rings, {"later": "ends", "stuck": "running"}, name="ring").result == 1


def test_which_activities_do_so_is_read_from_their_code() -> None:
    """Also through a helper; `defers` says otherwise."""

    def met(flow: Any, **options: Any) -> set[str]:
        found: set[str] = set()

        @settings(max_examples=60, deadline=None, database=None, derandomize=True, phases=(Phase.generate,))
        @given(executions(flow, cancels=False, crashes=False, **options))
        def draw(execution: Execution[Any]) -> None:
            found.update(
                event.activity
                for event in _events(execution, ActivityScheduled)
                if _events(execution, ActivityDeferred)
            )

        draw()
        return found

    assert met(rings) == {"ring"}
    assert met(rings, activities={ring: outcomes(returns=1, defers=False)}) == set()
    assert met(both) == set()
    assert met(both, activities={plain: outcomes(returns=1, defers=True)}) == {"plain"}


def _events(execution: Execution[Any], kind: type[Any]) -> list[Any]:
    return [each.event for each in execution.history if isinstance(each.event, kind)]


def test_every_fate_of_a_deferred_attempt_is_met() -> None:
    """In a few hundred executions; each keeps the laws of deferral and replays."""
    met: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True, phases=(Phase.generate,))
    @given(executions(lingers))
    def draw(execution: Execution[str]) -> None:
        keeps_the_laws(execution)
        met.update({attempt.how for call in execution.calls for attempt in call.attempts if attempt.deferred})
        met.update(tag_of(each.event) for each in execution.history)
        met["dropped"] += "is dropped" in execution.timeline()

    draw()
    ways = {"returned", "raised ConnectionError", "stopped", "ran out of time", "ran out of time (heartbeat)"}
    assert met.keys() >= {*ways, "dropped", "ActivityHeartbeatRecorded"}, met


def keeps_the_laws(execution: Execution[Any]) -> None:
    """One outcome an activity, one deferral an attempt, and none after its end; heartbeats only while the attempt is open."""
    open_: dict[int, int] = {}
    deferred: set[tuple[int, int]] = set()
    for each in execution.history:
        match each.event:
            case ActivityScheduled(id=number):
                open_[number] = 1
            case ActivityRetryScheduled(id=number, attempt=attempt):
                assert open_[number] == attempt
                open_[number] += 1
            case ActivityDeferred(id=number, attempt=attempt):
                assert open_.get(number) == attempt
                assert (number, attempt) not in deferred
                deferred.add((number, attempt))
            case ActivityHeartbeatRecorded(id=number, attempt=attempt):
                assert open_.get(number) == attempt
            case ActivityCompleted(id=number, attempt=attempt) | ActivityFailed(id=number, attempt=attempt):
                assert open_.pop(number) == attempt
            case _:
                pass
    for call in execution.calls:
        assert call.status != "completed" or call.effects


@settings(max_examples=40, deadline=None)
@given(executions(hasty, activities={build: outcomes(returns="house", defers=True)}))
def test_drawn_executions_replay_and_are_made_again(execution: Execution[str]) -> None:
    """With crashes between a deferral and its end."""
    keeps_the_laws(execution)
    assert_replays(execution)
    again = Execution.from_story(hasty, str(execution.story))
    assert again.timeline() == execution.timeline()


def test_a_word_of_a_holder_that_nobody_thought_of_is_found() -> None:
    """It shrinks to one attempt that says it stopped, and nothing else."""
    found = find(
        executions(trusts, args=st.just("a"), activities={build: outcomes(returns="house")}, cancels=False),
        lambda execution: not isinstance(execution.outcome, Completed),
        settings=settings(
            max_examples=300, deadline=None, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink)
        ),
    )
    assert [fate.later for fate in found.story.activities["build"]] == ["stops"]
    assert found.story.arrivals == []
    assert found.story.crashes == []
