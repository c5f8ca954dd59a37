"""Replay: the same code goes the same way in silence; other code is told apart, both sides shown."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable._runtime.run import StepAbortedError
from durable.author import (
    Query,
    Signal,
    activity,
    external,
    info,
    local,
    logger,
    now,
    patched,
    random,
    side_effect,
    sleep,
    uuid4,
    wait_condition,
    workflow,
)
from durable.errors import NonDeterminismError
from durable.history import WIRE, RunStarted, TimerFired, to_raw
from tests.engine.harness import SteppedRun, payload, replayed_execution

go = Signal("go", int)


@activity
async def first(n: int) -> int:
    return n


@activity
async def second(n: int) -> int:
    return n


WORLD: dict[str, Callable[..., Any]] = {"first": lambda n: n, "second": lambda n: n}


@workflow(name="flow")
async def recorded() -> int:
    a = await first(1)
    await sleep(5)
    return a + await second(2)


def history_of(flow: Any, *, upto: int = 0) -> list[bytes]:
    """Return the history of a finished run, or its first `upto` records."""
    history = SteppedRun(flow).start().drive(WORLD).history
    return history[: upto or None]


async def test_a_finished_history_replays_to_the_same_end() -> None:
    """The replay asks for nothing new and ends as the history does."""
    history = history_of(recorded)
    execution = replayed_execution(recorded, history)
    assert execution.closed == "completed"
    assert execution.seq == len(history)
    assert execution.run is not None
    assert execution.run.finished
    execution.dispose()


async def test_every_beginning_of_a_history_replays_and_goes_on_to_the_same_end() -> None:
    """Wherever a process died: what is recorded leads back to the state in which it was."""
    whole = SteppedRun(recorded).start().drive(WORLD)
    for cut in range(1, len(whole.history)):
        if WIRE.decode(whole.history[cut]).role != "inbound":
            continue  # commands and the close are committed with the event before them
        again = SteppedRun(recorded)
        again.history, again.now_ms = whole.history[:cut], whole.now_ms
        again.reload()
        assert again.execution.run is not None
        assert [c.id for c in again.execution.run.commands.values()] in ([1], [2], [3], [])


@workflow(name="flow")
async def other_activity() -> int:
    a = await second(1)
    await sleep(5)
    return a + await second(2)


@workflow(name="flow")
async def timer_instead() -> int:
    await sleep(5)
    return 1 + await second(2)


@workflow(name="flow")
async def one_more() -> int:
    extra = first(9)
    a = await first(1)
    await sleep(5)
    return a + await second(2) + await extra


@workflow(name="flow")
async def ends_early() -> int:
    return 1


@workflow(name="flow")
async def asks_for_nothing() -> int:
    await go.receive()
    return 1


@workflow(name="flow")
async def side_effect_instead() -> int:
    return side_effect(lambda: 1)


@workflow(name="flow")
async def local_instead() -> Any:
    return await local(first)(1)


@workflow(name="flow")
async def signal_instead() -> None:
    await external("other").signal(go, 1)


CHANGES = [
    (other_activity, 0, "activity 'first' on queue 'default' (#1)", "activity 'second' (#1)", "await second(1)"),
    (timer_instead, 0, "activity 'first' on queue 'default' (#1)", "timer of 5 s (#1)", "await sleep(5)"),
    (one_more, 0, "nothing more in this step", "activity 'first' (#2)", "a = await first(1)"),
    (ends_early, 0, "activity 'first' on queue 'default' (#1)", "nothing more in this step", "async def ends_early"),
    (asks_for_nothing, 0, "activity 'first' on queue", "nothing more in this step", "await go.receive()"),
    (side_effect_instead, 0, "activity 'first' on queue", "side effect #1", "side_effect(lambda: 1)"),
    (local_instead, 0, "activity 'first' on queue", "local activity 'first' (#1)", "local(first)(1)"),
    (signal_instead, 0, "activity 'first' on queue", "signal 'go'", "external("),
]


@pytest.mark.parametrize(("changed", "upto", "history_side", "code_side", "line"), CHANGES)
def test_changed_code_is_told_apart_with_both_sides(
    changed: Any, upto: int, history_side: str, code_side: str, line: str
) -> None:
    """The error names the event, what the code asked for, the source line and what to do."""
    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(changed, history_of(recorded, upto=upto))
    error = caught.value
    assert history_side in error.history
    assert code_side in error.code
    path, _, rest = error.where.partition(":")
    assert path == __file__
    text = Path(path).read_text(encoding="utf-8").splitlines()
    number = int(rest.split(" ")[0])
    assert line in text[number - 1] or line in text[number]  # a decorated function begins at its decorator
    assert 'patched("name")' in error.hint
    for part in (error.history, error.code, error.where, error.hint):
        assert part in str(error)


async def test_code_that_goes_on_where_the_history_closed_is_told_apart() -> None:
    """The history ends as completed; the code wants more."""

    @workflow(name="flow")
    async def short() -> int:
        return await first(1)

    @workflow(name="flow")
    async def longer() -> int:
        a = await first(1)
        await go.receive()
        return a

    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(longer, history_of(short))
    assert caught.value.history == "RunCompleted"
    assert caught.value.code == "more work"
    assert "in test_code_that_goes_on_where_the_history_closed_is_told_apart.<locals>.longer" in caught.value.where


async def test_code_that_fails_where_the_history_completed_is_told_apart() -> None:
    """The outcome is compared by kind."""

    @workflow(name="flow")
    async def good() -> int:
        return 1

    @workflow(name="flow")
    async def bad() -> int:
        raise ValueError

    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(bad, history_of(good))
    assert (caught.value.history, caught.value.code) == ("RunCompleted", "RunFailed")


async def test_code_that_ends_where_the_history_goes_on_is_told_apart() -> None:
    """An open history whose code has come to its end."""

    @workflow(name="flow")
    async def quick() -> int:
        return 1

    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(quick, history_of(recorded, upto=1))
    assert caught.value.code == "the end of the workflow"


async def test_an_event_that_nothing_waits_for_is_told_apart() -> None:
    """A timer that the code never started cannot fire."""

    @workflow(name="flow")
    async def waits() -> None:
        await go.receive()

    run = SteppedRun(waits).start()
    history = [*run.history, WIRE.encode(TimerFired(at=run.now_ms, id=4))]
    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(waits, history)
    assert caught.value.history == "TimerFired of #4"
    assert caught.value.code == "nothing that this could end"


async def test_the_cancellation_of_another_command_is_told_apart() -> None:
    """Both cancel one of two activities or timers, but not the same one."""
    choice = [0]

    @workflow(name="flow")
    async def cancels() -> None:
        calls = [first(1), first(2)]
        calls[choice[0]].cancel()  # type: ignore[attr-defined]
        await go.receive()

    @workflow(name="flow")
    async def cancels_timer() -> None:
        timers = [asyncio.create_task(sleep(5)), asyncio.create_task(sleep(6))]
        await asyncio.sleep(0)
        timers[choice[0]].cancel()
        await go.receive()

    for flow, what in ((cancels, "cancellation of activity"), (cancels_timer, "cancellation of timer")):
        choice[0] = 0
        history = SteppedRun(flow).start().history
        choice[0] = 1
        with pytest.raises(NonDeterminismError) as caught:
            replayed_execution(flow, history)
        assert caught.value.history == f"{what} #1"
        assert caught.value.code.startswith(what)
        assert "#2" in caught.value.code


async def test_a_swallowed_mismatch_still_makes_the_run_stuck() -> None:
    """Code that catches everything cannot hide that it went another way."""

    @workflow(name="flow")
    async def swallows() -> int:
        for _ in range(3):
            try:
                await second(1)
            except BaseException:
                continue
        return 1

    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(swallows, history_of(recorded))
    assert caught.value.code == "activity 'second' (#1)"  # the first one counts


async def test_an_exception_that_catches_exception_does_not_see_the_mismatch() -> None:
    """What unwinds the code is no `Exception`."""
    seen: list[BaseException] = []

    @workflow(name="flow")
    async def curious() -> int:
        try:
            return await second(1)
        except Exception as error:
            seen.append(error)
            raise

    with pytest.raises(NonDeterminismError):
        replayed_execution(curious, history_of(recorded))
    assert seen == []
    assert not issubclass(StepAbortedError, Exception)


async def test_nondeterminism_in_a_task_group_does_not_fail_the_run() -> None:
    """What cannot be replayed makes the run stuck, though a group wraps it, or a handler raised it."""

    @workflow
    async def threads() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(print))

    with pytest.raises(NonDeterminismError):
        SteppedRun(threads).start()

    @workflow
    async def handled() -> None:
        @go.handler
        async def on_go(n: int) -> None:
            await asyncio.to_thread(print)

        await sleep(5)

    run = SteppedRun(handled).start()
    with pytest.raises(NonDeterminismError):
        run.signal(go, 1)


async def test_an_error_that_was_raised_by_a_call_is_raised_again_on_replay() -> None:
    """A failed encoding leaves no event; the next command keeps its number."""

    @workflow
    async def careful() -> int:
        total = 0
        for value in ("bad", 1, "worse", 2):
            try:
                total += await first(value)  # type: ignore[arg-type]
            except TypeError:
                total += 100
        return total

    run = SteppedRun(careful).start().drive(WORLD)
    assert run.result() == 203
    assert run.reload().status == "completed"


# --- patched


def patched_flow(log: list[str]) -> Any:
    """Return the flow after a change."""

    @workflow(name="flow")
    async def changed() -> int:
        if patched("faster"):
            log.append("new")
            a = await second(1)
        else:
            log.append("old")
            a = await first(1)
        await sleep(5)
        if patched("faster"):
            log.append("new")
        return a + await second(2)

    return changed


async def test_an_old_history_goes_the_old_way_through_a_patch() -> None:
    """The first answer holds for the whole run."""
    log: list[str] = []
    execution = replayed_execution(patched_flow(log), history_of(recorded))
    assert execution.closed == "completed"
    assert log == ["old"]
    execution.dispose()


async def test_a_new_run_goes_the_new_way_and_so_does_its_replay() -> None:
    """The patch is recorded once."""
    log: list[str] = []
    run = SteppedRun(patched_flow(log)).start().drive(WORLD)
    assert run.tags().count("PatchMarked") == 1
    assert log == ["new", "new"]
    log.clear()
    run.reload()
    assert log == ["new", "new"]


async def test_an_open_run_that_has_not_passed_the_change_goes_the_new_way() -> None:
    """The code was changed further down than where the run waits."""

    @workflow(name="flow")
    async def changed() -> int:
        a = await first(1)
        await sleep(5)
        return a + (10 * await first(3) if patched("later") else await second(2))

    run = SteppedRun(recorded).start()
    run.complete(1, 1)
    run.reload(changed)
    run.drive(WORLD)
    assert run.result() == 31
    assert "PatchMarked" in run.tags()
    assert run.reload().status == "completed"


async def test_a_patch_at_the_point_where_a_run_waits_goes_the_old_way() -> None:
    """The run passed it before the change."""
    run = SteppedRun(recorded).start()
    run.reload(patched_flow([]))
    run.drive(WORLD)
    assert "PatchMarked" not in run.tags()
    assert run.result() == 3


# --- silence


async def test_a_replay_logs_nothing_and_runs_no_side_effect(caplog: pytest.LogCaptureFixture) -> None:
    """Log lines of the past were said; side effects gave their value."""
    ran: list[int] = []

    @workflow
    async def talks() -> int:
        logger.warning("begin")
        value = side_effect(lambda: ran.append(1) or 7)
        await first(1)
        logger.warning("end %d", value)
        return value

    with caplog.at_level(logging.INFO, "durable"):
        run = SteppedRun(talks).start()
        run.reload()
        run.complete(2, 1)
        run.reload()
    assert [record.getMessage() for record in caplog.records] == ["begin", "end 7"]
    assert ran == [1]
    assert caplog.records[0].__dict__["workflow_id"] == "wf-1"


async def test_a_dropped_execution_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Its `finally` blocks run, since Python gives no other way; they have no effect and log nothing."""

    @workflow
    async def tidy() -> None:
        try:
            await first(1)
        finally:
            logger.warning("cleaning up")
            await second(2)

    with caplog.at_level(logging.INFO, "durable"):
        run = SteppedRun(tidy).start()
        run.dispose()
    assert caplog.records == []
    assert run.waiting() == ["first#1"]


async def test_a_side_effect_that_raised_raises_again() -> None:
    """What it raised is recorded, and it is not run again."""
    ran: list[int] = []

    def unlucky() -> int:
        ran.append(1)
        raise LookupError("no luck")

    @workflow
    async def tries() -> str:
        try:
            side_effect(unlucky)
        except LookupError as error:
            await first(1)
            return str(error)
        return ""

    run = SteppedRun(tries).start()
    run.reload()
    run.complete(2, 1)
    assert run.result() == "no luck"
    assert ran == [1]


async def test_a_side_effect_whose_value_cannot_be_recorded_raises_at_the_call() -> None:
    """And does so again on replay."""

    @workflow
    async def tries() -> str:
        try:
            side_effect(object)
        except TypeError as error:
            await first(1)
            return str(error)
        return ""

    run = SteppedRun(tries).start()
    run.reload()
    run.complete(2, 1)
    assert "side effect 'object'" in run.result()


async def test_a_side_effect_may_not_command() -> None:
    """It does not run on replay, so what it asked for could never be matched."""

    @workflow
    async def sly() -> str:
        try:
            side_effect(lambda: first(1))
        except TypeError as error:
            return str(error)
        return ""

    run = SteppedRun(sly).start()
    assert "read-only: it cannot start activity first" in run.result()
    assert run.reload().status == "completed"


async def test_time_chance_and_ids_are_the_same_on_replay() -> None:
    """`now`, `random`, `uuid4` and `info` lead replays to the same values."""
    seen: list[Any] = []

    @workflow
    async def looks() -> None:
        for _ in range(2):
            seen.append((now(), random().random(), uuid4(), info().history_length, info().started_at))
            await first(1)

    run = SteppedRun(looks).start()
    run.now_ms += 1234
    run.complete(1, 1)
    lived = list(seen)
    seen.clear()
    run.reload()
    assert seen == lived
    assert (seen[1][0] - seen[0][0]).total_seconds() == 1.234
    assert seen[0][1:3] != seen[1][1:3]


async def test_a_condition_may_only_read() -> None:
    """How often it is tried is recorded nowhere."""

    @workflow
    async def sly() -> str:
        problems = []
        for predicate in (lambda: first(1), lambda: random().random() < 0):
            try:
                await wait_condition(predicate)
            except TypeError as error:
                problems.append(str(error))
        return "; ".join(problems)

    run = SteppedRun(sly).start()
    assert run.result().count("wait_condition is read-only") == 2


async def test_a_condition_is_tried_when_the_code_has_come_to_rest() -> None:
    """What it raises is raised at the wait; a timeout is a durable timer."""

    @workflow
    async def waits() -> list[str]:
        state = {"n": 0}
        log = []

        @go.handler
        def on_go(n: int) -> None:
            state["n"] = n

        await wait_condition(lambda: state["n"] > 0)
        log.append(f"n is {state['n']}")
        try:
            await wait_condition(lambda: 1 // (state["n"] - 2) > 5)
        except ZeroDivisionError:
            log.append("divided")
        try:
            await wait_condition(lambda: state["n"] > 5, timeout=3)
        except TimeoutError:
            log.append("timed out")
        return log

    run = SteppedRun(waits).start()
    run.signal(go, 1)
    run.reload()
    run.signal(go, 2)
    run.fire_next()
    assert run.result() == ["n is 1", "divided", "timed out"]
    assert run.reload().status == "completed"


# --- queries


async def test_a_query_reads_and_leaves_no_trace() -> None:
    """The history does not change, and neither does what the code does afterwards."""
    total = Query("total", int)

    @workflow
    async def counts() -> int:
        state = {"n": 0}

        @total.handler
        def on_total(plus: int = 0) -> int:
            return state["n"] + plus

        while state["n"] < 3:
            state["n"] += await go.receive()
        return state["n"]

    run = SteppedRun(counts).start()
    run.signal(go, 2)
    before = list(run.history)
    assert run.answer("total") == 2
    assert run.answer("total", 5) == 7
    assert run.history == before
    run.reload()
    assert run.answer("total") == 2
    run.signal(go, 1)
    assert run.reload().answer("total") == 3


@pytest.mark.parametrize("what", ["activity", "timer", "random", "patched", "side_effect"])
async def test_a_query_may_not_command(what: str) -> None:
    """It gets an error, and the run goes on as if it had not been asked."""
    ask = Query("ask")

    @workflow
    async def counts() -> float:
        @ask.handler
        def on_ask() -> Any:
            if what == "activity":
                return first(1)
            if what == "timer":
                return asyncio.get_running_loop().call_later(5, print)
            if what == "random":
                return random().random()
            return patched("x") if what == "patched" else side_effect(lambda: 1)

        await go.receive()
        return random().random()

    quiet, asked = SteppedRun(counts).start(), SteppedRun(counts).start()
    failure = asked.query("ask").failure
    assert failure is not None
    assert "read-only" in failure["message"] or "no running event loop" in failure["message"]
    quiet.signal(go, 1)
    asked.signal(go, 1)
    assert asked.tags() == quiet.tags()
    assert asked.result() == quiet.result()


async def test_a_query_that_wakes_the_workflow_is_told_and_undone() -> None:
    """The run is thrown away and rebuilt from its history, which knows nothing of it."""
    ask = Query("ask")

    @workflow
    async def counts() -> str:
        event = asyncio.Event()

        @ask.handler
        def on_ask() -> None:
            event.set()

        await event.wait()
        return "woken"

    run = SteppedRun(counts).start()
    failure = run.query("ask").failure
    assert failure is not None
    assert "may only read" in failure["message"]
    assert run.execution.run is None
    assert run.reload().status == "running"


async def test_an_unknown_query_names_those_that_are_known() -> None:
    """So does a query whose handler raises: the caller is told, the run is not touched."""
    ask = Query("ask")

    @workflow
    async def answers() -> None:
        @ask.handler
        def on_ask(n: int) -> None:
            raise ValueError("cannot tell")

        await go.receive()

    run = SteppedRun(answers).start()
    for args, text in (
        (("nope",), "no query 'nope'; it has: ask"),
        (("ask", 1), "cannot tell"),
        (("ask", "x"), "'ask'"),
    ):
        failure = run.query(*args).failure
        assert failure is not None
        assert text in failure["message"]
    run.signal(go, 1)
    assert run.status == "completed"


async def test_arguments_that_no_longer_fit_make_the_run_stuck() -> None:
    """The workflow's parameters were changed under an open run."""

    @workflow(name="flow")
    async def takes_text(n: str) -> None: ...

    started = RunStarted(
        at=1,
        workflow="flow",
        workflow_id="wf-1",
        run_id="run-1",
        queue="default",
        args=to_raw(payload([[5], {}])),
        request="r",
    )
    with pytest.raises(Exception, match="n") as caught:
        replayed_execution(takes_text, [WIRE.encode(started)])
    assert type(caught.value).__name__ == "DecodeError"
