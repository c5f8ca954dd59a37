"""Executions that are told by hand: time, retries, limits, order, crashes and repeats are as with the real engine."""

import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from durable import Query, RetryPolicy, Signal, activity, continue_as_new, external, info, local, proxy, sleep, workflow
from durable.errors import ActivityError, ActivityTimeoutError, InvalidCallError, RunOutcomeError
from durable.history import ActivityRetryScheduled, RunCompleted, SignalReceived, tag_of
from durable.testing import (
    Cancelled,
    Completed,
    Continued,
    Execution,
    ExecutionError,
    Failed,
    Story,
    TestEnvironment,
    TimedOut,
    Waiting,
    durations,
    executions,
    outcomes,
)
from tests.testing.planted import approved, charge, item, quick, saga, saga_strict, ship, status, ten_steps

ANSWERS = {"quick": 5, "ship": "t", "charge": "p", "refund": None, "note": None}


def told(workflow: Any, *args: Any, **story: Any) -> Execution[Any]:
    """Return the execution of a story that is given as JSON data."""
    data = {"args": [list(args), {}], "otherwise": ANSWERS, **story}
    return Execution.from_story(workflow, msgspec.json.encode(data).decode())


def tags(execution: Execution[Any]) -> list[str]:
    """Return the types of the events."""
    return [tag_of(recorded.event) for recorded in execution.history]


@workflow
async def one_call(n: int) -> int:
    return await quick(n)


@activity(retry=RetryPolicy(initial_interval=1, coefficient=3, jitter=0, max_attempts=4), timeout=10)
async def steady(n: int) -> int: ...


@activity(queue_timeout=20, retry=RetryPolicy(jitter=0, max_attempts=2))
async def queued(n: int) -> int: ...


@activity(heartbeat_timeout=5, retry=RetryPolicy(max_attempts=1))
async def beating(n: int) -> int: ...


@activity(total_timeout="1 min", retry=RetryPolicy(jitter=0, initial_interval=20, coefficient=1))
async def bounded(n: int) -> int: ...


@workflow
async def calls(which: str) -> int:
    each = {"steady": steady, "queued": queued, "beating": beating, "bounded": bounded}
    return await proxy(each[which])(1)


def test_the_simplest_story_goes_well() -> None:
    """Activities succeed at once; the record of calls has arguments, times and effects."""
    execution = told(one_call, 3)
    assert execution.outcome == Completed(5)
    assert execution.result == 5
    assert execution.duration == timedelta()
    [call] = execution.calls
    assert (call.activity, call.args, call.status, call.result, call.effects) == ("quick", (3,), "completed", 5, 1)
    assert execution.calls_of(quick) == [call]
    assert execution.effects_of("quick") == 1
    assert tags(execution) == ["RunStarted", "ActivityScheduled", "ActivityCompleted", "RunCompleted"]


def test_failures_are_retried_by_the_real_policy() -> None:
    """Pauses of 1 and 3 seconds, then a result that takes 2."""
    execution = told(
        calls,
        "steady",
        activities={
            "steady": [{"failure": ["OSError", "no"]}, {"failure": ["OSError"]}, {"value": 7, "takes_ms": 2_000}]
        },
    )
    assert execution.result == 7
    assert execution.duration == timedelta(seconds=1 + 3 + 2)
    attempts = execution.calls[0].attempts
    assert [attempt.how for attempt in attempts] == ["raised OSError", "raised OSError", "returned"]
    assert [attempt.started.total_seconds() for attempt in attempts] == [0, 1, 4]
    assert [attempt.effects for attempt in attempts] == [0, 0, 1]


def test_a_failure_that_lasts_ends_with_the_policy() -> None:
    """One line of the story fails all attempts of the call."""
    execution = told(calls, "steady", activities={"steady": [{"failure": ["OSError", "no"], "always": True}]})
    assert isinstance(execution.outcome, Failed)
    assert isinstance(execution.outcome.error, ActivityError)
    assert len(execution.calls[0].attempts) == 4
    assert execution.effects_of(steady) == 0


@pytest.mark.parametrize(
    ("which", "fate", "kind", "seconds"),
    [
        ("steady", {"stuck": "running", "always": True}, "attempt", 4 * 10 + 1 + 3 + 9),
        ("queued", {"stuck": "queued", "always": True}, "queue", 20),
        ("beating", {"stuck": "running"}, "heartbeat", 5),
        ("bounded", {"stuck": "running"}, "total", 60),
        ("steady", {"value": 1, "takes_ms": 10_000, "always": True}, "attempt", 4 * 10 + 1 + 3 + 9),
    ],
)
def test_time_limits_end_what_hangs(which: str, fate: dict[str, Any], kind: str, seconds: int) -> None:
    """Each limit at its time, as its own kind."""
    execution = told(calls, which, activities={which: [fate]})
    assert isinstance(execution.outcome, Failed)
    assert isinstance(execution.outcome.error, ActivityTimeoutError)
    assert execution.outcome.error.kind == kind
    assert execution.duration.total_seconds() == seconds
    assert execution.effects_of(which) == 0


def test_a_retry_waits_in_its_queue_anew() -> None:
    """The limit on the queue counts for each attempt."""
    fates = [{"failure": ["OSError"], "takes_ms": 30_000}, {"stuck": "queued"}]
    execution = told(calls, "queued", activities={"queued": fates})
    assert isinstance(execution.outcome, Failed)
    assert execution.duration.total_seconds() == 30 + 1 + 20


def test_what_cannot_hang_does_not() -> None:
    """A story that was told for other limits goes on."""
    assert told(one_call, 1, activities={"quick": [{"stuck": "running", "always": True}]}).result == 5


def test_a_result_that_comes_twice_is_recorded_once() -> None:
    """And the timeline says so."""
    execution = told(ten_steps, "o", activities={"quick": [{"value": 1, "odd": "twice"}]})
    assert execution.result == 1 + 9 * 5
    assert tags(execution).count("ActivityCompleted") == 10
    assert "a result of quick #1 is dropped: it came before" in execution.timeline()


def test_a_late_attempt_changes_nothing_but_took_effect() -> None:
    """Timed out, tried again, and the first result comes after all."""
    fates = [{"stuck": "running", "odd": "late", "value": 1, "takes_ms": 11_000}, {"value": 2, "takes_ms": 5_000}]
    execution = told(calls, "steady", activities={"steady": fates})
    assert execution.result == 2
    assert [attempt.effects for attempt in execution.calls[0].attempts] == [1, 1]
    assert execution.effects_of(steady) == 1
    assert "a result of steady #1 is dropped" in execution.timeline()


def test_an_attempt_whose_worker_is_lost_takes_effect_twice() -> None:
    """The same attempt runs again, and is recorded once."""
    execution = told(one_call, 1, activities={"quick": [{"value": 4, "odd": "lost", "takes_ms": 500}]})
    assert execution.result == 4
    assert execution.calls[0].effects == 2
    assert execution.effects_of(quick) == 1
    assert execution.duration == timedelta(seconds=1)


def test_signals_arrive_between_any_two_happenings() -> None:
    """In flight, after the result, half-way to a timer, and in one step with it, before which they come."""
    times = {}
    for after, how in ((0, ""), (1, ""), (2, ""), (2, "between"), (2, "with")):
        execution = told(saga, "o", 1, arrivals=[{"after": after, "how": how, "signal": "approved", "value": True}])
        assert execution.result == "t"
        [signal] = [r.event for r in execution.history if isinstance(r.event, SignalReceived)]
        times[after, how] = (
            (signal.at - execution.history[0].event.at) / 3_600_000,
            tags(execution).index("SignalReceived"),
        )
    assert times == {(0, ""): (0, 2), (1, ""): (0, 2), (2, ""): (0, 4), (2, "between"): (24, 4), (2, "with"): (48, 4)}


def test_a_signal_that_comes_with_the_end_is_seen_before_it() -> None:
    """A run does not close over a message that was acknowledged."""
    execution = told(one_call, 1, arrivals=[{"after": 1, "how": "with", "signal": "item", "value": 1}])
    assert tags(execution)[-3:] == ["SignalReceived", "ActivityCompleted", "RunCompleted"]


def test_a_request_that_comes_twice_counts_once() -> None:
    """Both a signal and a cancellation, whose repeat must not interrupt the cleanup."""
    arrivals = [{"after": 1, "signal": "approved", "value": True, "twice": True}, {"after": 1, "twice": True}]
    execution = told(saga_strict, "o", 1, arrivals=arrivals)
    assert tags(execution).count("SignalReceived") == 1
    assert tags(execution).count("CancelRequested") == 1
    assert execution.outcome == Cancelled()
    assert [call.status for call in execution.calls] == ["cancelled", "completed"]
    assert "signal approved is dropped" in execution.timeline()
    assert "a cancellation is dropped" in execution.timeline()


@workflow
async def waits(order: str) -> bool:
    @status.handler
    def answer(scale: int = 1) -> str:
        return f"waiting {scale}"

    await ship(order)
    return await approved.receive()


def test_a_run_that_waits_says_for_what() -> None:
    """The signal and the line."""
    execution = told(waits, "o")
    assert isinstance(execution.outcome, Waiting)
    assert execution.outcome.on[0] == "signal 'approved'"
    assert "in waits" in execution.outcome.on[1]
    assert "waiting for signal 'approved'" in execution.timeline()
    with pytest.raises(TimeoutError, match="still open"):
        _ = execution.result


def test_queries_are_answered_at_any_time_and_leave_no_trace() -> None:
    """Before the handler is there, while the run waits, and after it has ended."""
    query = {"query": "status", "value": [[], {}]}
    arrivals = [{"after": 1, **query}, {"after": 2, "query": "status", "value": [[3], {}]}]
    arrivals += [{"after": 2, "signal": "approved", "value": True}, {"after": 9, **query}, {"after": 9, "query": "no"}]
    execution = told(waits, "o", arrivals=arrivals)
    assert [answer.value for answer in execution.answers] == ["waiting 1", "waiting 3", "waiting 1", None]
    assert isinstance(execution.answers[3].error, InvalidCallError)
    assert tags(execution) == tags(told(waits, "o", arrivals=arrivals[2:3]))


@workflow
async def wakes_up_by_a_query(order: str) -> None:
    waiting = Signal("never")

    @Query("poke").handler
    def answer() -> None:
        from durable._runtime.context import require_run

        require_run("test").loop.call_soon(lambda: None)

    await waiting.receive()


def test_a_query_that_wakes_the_run_is_reported() -> None:
    """With the timeline."""
    with pytest.raises(ExecutionError, match=r"(?s)the query 'poke' changed the run.*Timeline of wakes_up_by_a_query"):
        told(wakes_up_by_a_query, "o", arrivals=[{"after": 1, "query": "poke", "value": [[], {}]}])


@pytest.mark.parametrize("lost", [False, True])
def test_a_crash_at_each_step_changes_nothing(lost: bool) -> None:
    """Neither after each commit nor before each."""
    arrivals = [{"after": 2, "signal": "approved", "value": True}]
    plain = told(saga, "o", 1, arrivals=arrivals)
    crashed = told(saga, "o", 1, arrivals=arrivals, crashes=[{"step": 0, "lost": lost}])
    assert [r.record for r in crashed.history] == [r.record for r in plain.history]
    assert crashed.crashes >= 3
    assert plain.crashes == 0


def test_a_run_that_was_down_gets_all_at_once() -> None:
    """What happened meanwhile comes in one step."""

    @workflow
    async def two(order: str) -> None:
        import asyncio

        await asyncio.gather(quick(1), quick(2), quick(3))

    plain = told(two, "o")
    downed = told(two, "o", crashes=[{"step": 1, "down": 2}])
    assert tags(plain) == tags(downed)
    assert (plain.log[-1].step, downed.log[-1].step) == (4, 2)


@workflow
async def near(order: str) -> int:
    return await local(steady)(1) + await local(quick)(2)


def test_local_activities_run_within_their_step() -> None:
    """With their retries; if the step is lost, they run again."""
    execution = told(near, "o", activities={"steady": [{"failure": ["OSError"], "takes_ms": 1_000}, {"value": 1}]})
    assert execution.result == 1 + 5
    assert execution.duration == timedelta(seconds=2)
    assert execution.log[-1].step == 1
    assert all(call.local for call in execution.calls)
    again = told(near, "o", activities={"steady": [{"value": 1}, {"value": 2}]}, crashes=[{"step": 1, "lost": True}])
    assert again.result == 2 + 5
    assert [call.effects for call in again.calls] == [2, 2]


@workflow
async def goes_on(order: str, rounds: int = 0) -> str:
    await sleep("1 h")
    return continue_as_new(order, rounds + 1)


def test_a_run_may_continue_as_new() -> None:
    """The execution is that of the one run; it says what the next one would begin with."""
    execution = told(goes_on, "o")
    assert execution.outcome == Continued("goes_on", ("o", 1), {})
    assert execution.duration == timedelta(hours=1)
    assert "continued as a new run of goes_on" in execution.timeline()
    with pytest.raises(RunOutcomeError, match="another execution"):
        _ = execution.result


@workflow(timeout="1 h")
async def endless(order: str) -> None:
    while True:
        await sleep("10 min")


def test_a_run_may_reach_its_time_limit() -> None:
    """At its time, whatever it does."""
    execution = told(endless, "o")
    assert execution.outcome == TimedOut()
    assert execution.duration == timedelta(hours=1)


def test_an_endless_run_is_broken_off() -> None:
    """And reported as open."""

    @workflow
    async def for_ever(order: str) -> None:
        while True:
            await sleep("1 day")

    execution = Execution.from_story(for_ever, '{"args":[["o"],{}]}', max_events=50)
    assert isinstance(execution.outcome, Waiting)
    assert execution.outcome.cut_off
    assert 50 <= len(execution.history) < 55


@workflow
async def tells_another(order: str) -> str:
    await external("other").signal(item, 1)
    return info().run_id


def test_messages_to_other_runs_are_delivered() -> None:
    """The other run is not part of the execution."""
    execution = told(tells_another, "o")
    assert "ExternalDelivered" in tags(execution)
    assert execution.completed


def test_results_may_be_computed_from_the_arguments() -> None:
    """By a function; the story keeps what it gave."""
    strategy = executions(one_call, st.just((20,)), activities={quick: outcomes(lambda n: n + 1)}, cancels=False)
    execution = find(strategy, lambda e: e.completed, settings=settings(database=None))
    assert execution.result == 21
    assert Execution.from_story(one_call, execution.story).result == 21


def test_the_simplest_draw_is_the_simplest_story() -> None:
    """All goes well at once, and nobody sends anything."""
    strategy = executions(saga, signals=[approved], queries=[status])
    execution = find(strategy, lambda e: True, settings=settings(database=None, phases=(Phase.generate, Phase.shrink)))
    assert str(execution.story) == '{"args":[["",0],{}],"otherwise":{"charge":"","refund":null}}'


@workflow
async def untyped(order: str) -> Any:
    return await proxy("elsewhere")(order)


def test_what_cannot_be_drawn_is_named() -> None:
    """The activity, the argument or the signal, and what to pass instead."""

    @workflow
    async def takes_anything(order: Any) -> None: ...

    @activity
    async def gives_anything() -> Any: ...

    @workflow
    async def calls_it() -> None:
        await gives_anything()

    @given(executions(untyped))
    @settings(max_examples=1, suppress_health_check=list(HealthCheck))
    def draw(execution: Execution[Any]) -> None: ...

    with pytest.raises(InvalidArgument, match="activity 'elsewhere' has no declared type"):
        draw()
    with pytest.raises(InvalidArgument, match="argument 'order' of workflow takes_anything"):
        executions(takes_anything)
    with pytest.raises(InvalidArgument, match="activity 'gives_anything' has no declared type"):
        executions(calls_it)
    with pytest.raises(InvalidArgument, match=r"expected outcomes\(\.\.\.\) or a strategy"):
        executions(one_call, activities={quick: 5})
    with pytest.raises(InvalidArgument, match="expected exceptions in raises"):
        executions(one_call, activities={quick: outcomes(raises=[5])})
    with pytest.raises(InvalidArgument, match="expected a workflow"):
        executions(quick)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="signals: expected a list of Signal"):
        executions(one_call, signals=[status])  # type: ignore[list-item]


def test_an_activity_that_is_known_by_name_only_can_be_given() -> None:
    """Its outcomes under its name."""
    strategy = executions(untyped, st.just("o"), activities={"elsewhere": st.just(3)}, cancels=False)
    execution = find(strategy, lambda e: e.completed, settings=settings(database=None))
    assert execution.result == 3
    assert Execution.from_story(untyped, execution.story).result == 3


def test_a_story_can_be_wrong() -> None:
    """Text that is none, an exception that is none, and what it does not tell."""
    with pytest.raises(ValueError, match="this is no story"):
        Execution.from_story(one_call, "{}")
    with pytest.raises(ValueError, match="names no built-in exception"):
        told(one_call, 1, activities={"quick": [{"failure": ["nothing"]}]})
    with pytest.raises(ValueError, match="does not tell what activity 'quick' returns"):
        Execution.from_story(one_call, '{"args":[[1],{}]}')
    told_by_hand = Execution.from_story(one_call, '{"args":[[1],{}]}', activities={quick: outcomes(lambda n: n)})
    assert told_by_hand.result == 1
    assert Story.read(str(told_by_hand.story)) == told_by_hand.story


def test_durations_have_all_magnitudes() -> None:
    """Within their bounds, which may be one."""
    assert find(durations("2 s", "3 s"), lambda d: True) == timedelta(seconds=2)
    assert find(durations(0, "2 days"), lambda d: d > timedelta(days=1)) == timedelta(milliseconds=100_000_000)
    assert find(durations(5, 5), lambda d: True) == timedelta(seconds=5)
    with pytest.raises(ValueError, match="shortest <= longest"):
        durations(5, 1)


async def test_histories_are_those_of_the_real_engine() -> None:
    """The same events in the same order, with a signal in flight and a retry."""
    async with TestEnvironment(workflows=[saga], activities=[]) as env:
        env.fake(charge, returns="p", takes="5s")
        env.fake(ship, returns="t")
        handle = await env.client.start(saga, id="s")("o", 1)
        await handle.signal(approved, True)
        assert await handle.result() == "t"
        real = [tag_of(recorded.event) for recorded in await handle.history()]
    fates = {"charge": [{"value": "p", "takes_ms": 5_000}]}
    execution = told(saga, "o", 1, activities=fates, arrivals=[{"after": 1, "signal": "approved", "value": True}])
    assert tags(execution) == real


def test_a_thousand_executions_take_seconds() -> None:
    """A tenth of them, of ten steps each, in a tenth of the minute that a thousand may take on a slow machine."""
    steps = 0

    @settings(max_examples=100, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(executions(ten_steps, st.just("o")))
    def draw(execution: Execution[int]) -> None:
        nonlocal steps
        steps += execution.log[-1].step

    begun = time.process_time()
    draw()
    assert time.process_time() - begun < 6
    assert steps > 300


def test_retries_show_in_the_timeline() -> None:
    """In words, with the times."""
    execution = told(calls, "steady", activities={"steady": [{"failure": ["OSError", "no"]}]}, otherwise={"steady": 9})
    assert isinstance(execution.history[2].event, ActivityRetryScheduled)
    assert isinstance(execution.history[-1].event, RunCompleted)
    assert execution.timeline().splitlines() == [
        "Timeline of calls:",
        '       0 s  started with ("steady")',
        "              asks for steady #1 (1)",
        "            steady #1 failed, attempt 1: OSError: no; tried again in 1 s",
        "       1 s  steady #1 returned 9, attempt 2",
        "            ended with 9",
        "            = completed: 9",
    ]


def test_a_story_keeps_only_what_came_to_pass() -> None:
    """What was to happen after the end is left out, and the rest is made again as it was."""
    arrivals = [{"after": 99}, {"after": 1, "signal": "item", "value": 1}]
    crashes = [{"step": 2}, {"step": 50}]
    execution = told(one_call, 1, arrivals=arrivals, crashes=crashes)
    assert [arrival.signal for arrival in execution.story.arrivals] == ["item"]
    assert [crash.step for crash in execution.story.crashes] == [2]
    again = Execution.from_story(one_call, execution.story)
    assert [r.record for r in again.history] == [r.record for r in execution.history]


def test_an_effect_that_only_the_outside_knows_of_is_counted() -> None:
    """Given up by a cancellation, or by the total time, and it took effect all the same."""
    late = {"value": 1, "odd": "late", "takes_ms": 1_000}
    cancelled = told(calls, "steady", activities={"steady": [late]}, arrivals=[{"after": 1}])
    assert cancelled.outcome == Cancelled()
    hung = told(calls, "bounded", activities={"bounded": [{**late, "stuck": "running"}]})
    assert isinstance(hung.outcome, Failed)
    for execution in (cancelled, hung):
        assert [attempt.how for attempt in execution.calls[0].attempts] == ["given up, but took effect"]
        assert execution.effects_of(execution.calls[0].activity) == 1
        assert "took effect, although the run gave it up" in execution.timeline()
