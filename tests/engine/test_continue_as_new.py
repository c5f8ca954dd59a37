"""Continue-as-new, step by step: what the code may ask for, what is handed on, and what its history says."""

import asyncio
from typing import Any, NoReturn

import pytest

from durable import _limits
from durable._engine.steps._continuing import next_run_id
from durable._log import RequestCancel, StartRun, Terminate, TimerDue
from durable.author import (
    Query,
    Signal,
    activity,
    continue_as_new,
    info,
    sleep,
    wait_condition,
    workflow,
)
from durable.codec import default_codec
from durable.errors import DefinitionError, EncodeError, InvalidCallError
from durable.history import WIRE, CarriedSignal, RunContinuedAsNew, RunFailed, RunStarted, from_raw, to_raw
from tests.engine.harness import START_MS, SteppedRun, replayed_execution

go = Signal("go", int)
other = Signal("other", str)


def closes(run: SteppedRun) -> Any:
    """The last event of a run."""
    return WIRE.decode(run.history[-1])


def next_of(run: SteppedRun) -> StartRun:
    """The start of the run that it continues as."""
    assert run.last.continued is not None
    return run.last.continued


def follows(run: SteppedRun) -> SteppedRun:
    """The run that it continues as, before its first step."""
    start = next_of(run)
    after = SteppedRun(run.workflow, *arguments(start))
    after.now_ms, after.start_message = run.now_ms, start
    assert start.run_id is not None
    after.execution.run_id = start.run_id
    return after


def arguments(start: StartRun | RunContinuedAsNew) -> tuple[Any, ...]:
    """The positional arguments of a start."""
    return tuple(default_codec().decode(from_raw(start.args), Any, what="arguments")[0])


def replays(run: SteppedRun) -> None:
    """Its history is what its code leads to."""
    replayed_execution(run.workflow, run.history).dispose()


@workflow
async def counts(n: int) -> int:
    """Continue with what each signal adds; 0 ends it."""
    value = await go.receive()
    if not value:
        return n
    return continue_as_new(n + value)


def test_it_closes_the_run_and_names_the_next() -> None:
    """The event says all that the next run begins with, and the same decision creates that run."""
    run = SteppedRun(counts, 1).start()
    assert run.signal(go, 4) == ["SignalReceived", "RunContinuedAsNew"]
    assert (run.last.closed, run.execution.closed) == ("continued_as_new", "continued_as_new")
    event, start = closes(run), next_of(run)
    assert (event.workflow, event.queue, event.new_run_id) == ("counts", "default", start.run_id)
    assert (start.workflow, start.queue, start.args, start.request) == ("counts", "default", event.args, "start")
    assert arguments(start) == (5,)
    assert (start.first_run_id, start.continued_from) == ("run-1", "run-1")
    replays(run)


def test_the_chain_keeps_its_first_run() -> None:
    """However long it is."""
    run = SteppedRun(counts, 1).start()
    run.signal(go, 1)
    after = follows(run).start()
    after.signal(go, 1, request="another")
    assert (next_of(after).first_run_id, next_of(after).continued_from) == ("run-1", next_of(run).run_id)
    replays(after)


def test_the_next_run_id_is_derived_sorts_after_its_own_and_is_the_same_for_ever() -> None:
    """It is part of what a step decides, so it must not depend on anything but the run."""
    first = "01hf7yat00aaaaaaaaaaaaaaaa"
    made = next_run_id(first, START_MS)
    assert made == next_run_id(first, START_MS)
    assert len(made) == 26
    chain = [first]
    for _ in range(200):
        chain.append(next_run_id(chain[-1], START_MS))  # all within one millisecond
    assert chain == sorted(set(chain))


def test_what_is_named_after_the_end_of_a_run_id_is_not_named_so_twice() -> None:
    """A run that continues again, at another time, since the store fell back, is another one to its last characters."""
    ends = {next_run_id("01hf7yat00aaaaaaaaaaaaaaaa", START_MS + late)[-8:] for late in range(100)}
    assert len(ends) == 100


# --- signals


def test_signals_that_were_not_read_go_along_in_order() -> None:
    """Whatever their names; those that were read do not."""
    run = SteppedRun(counts, 0).start()
    messages = [
        run.signal_message(other, "a"),
        run.signal_message(go, 1),
        run.signal_message(go, 2),
        run.signal_message(other, "b"),
    ]
    run.send(*messages)
    carried = [(signal.name, signal.request) for signal in next_of(run).signals]
    assert carried == [("other", "request-1"), ("go", "request-3"), ("other", "request-4")]
    assert closes(run).signals == ("request-1", "request-3", "request-4")
    replays(run)


def test_the_next_run_has_them_before_its_first_step() -> None:
    """So that one which looks without waiting finds them."""

    @workflow
    async def looks() -> list[int]:
        found: list[int] = []
        while (value := go.receive_nowait()) is not None:
            found.append(value)
        return found

    run = SteppedRun(looks)
    values = [CarriedSignal(name="go", request=f"r-{n}", value=run.signal_message(go, n).value) for n in (7, 8)]
    run.start_message = StartRun(
        run_id="run-1",
        workflow="looks",
        queue="default",
        args=run.start_message.args,
        request="s",
        signals=tuple(values),
    )
    run.start()
    assert from_raw(closes(run).result).data == b"[7,8]"
    replays(run)


def test_a_repeat_of_a_signal_is_dropped_by_the_next_run() -> None:
    """Whether the run before had read it or handed it on."""
    run = SteppedRun(counts, 0).start()
    run.send(run.signal_message(go, 1, request="read"), run.signal_message(go, 2, request="unread"))
    after = follows(run).start()
    assert after.signal(go, 1, request="read") == []
    assert after.signal(go, 2, request="unread") == []


def test_the_ids_that_are_handed_on_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones, in order: a repeat comes soon."""
    monkeypatch.setattr(_limits, "REQUESTS_CARRIED_MAX", 3)
    run = SteppedRun(counts, 0).start()
    for n in range(5):
        run.signal(other, str(n), request=f"r-{n}")
    run.signal(go, 1, request="last")
    assert next_of(run).requests == ("r-3", "r-4", "last")


def test_a_signal_that_comes_while_a_handler_holds_the_run_open_goes_along() -> None:
    """The handler of the run that ends does not get it: the state that it would change is not the next run's."""
    seen: list[int] = []

    @workflow
    async def handles() -> None:
        @go.handler
        async def take(n: int) -> None:
            await sleep(5)
            seen.append(n)

        await other.receive()
        continue_as_new()

    run = SteppedRun(handles).start()
    run.signal(go, 1)
    run.signal(go, 2)  # waits for the first to be done
    assert run.signal(other, "end") == ["SignalReceived"]
    assert run.signal(go, 3) == ["SignalReceived"]
    run.now_ms += 5_000
    assert run.send(TimerDue(workflow_id="wf-1", run_id="run-1", id=1))[-1] == "RunContinuedAsNew"
    assert [int(bytes(signal.value)) for signal in next_of(run).signals] == [2, 3]
    assert seen == [1]
    replays(run)


def test_a_concurrent_handler_that_has_not_begun_is_not_begun() -> None:
    """Its signal goes along, like any other that was not read."""
    seen: list[int] = []

    @workflow
    async def handles() -> None:
        @go.handler
        def take(n: int) -> None:
            seen.append(n)

        await wait_condition(lambda: len(seen) == 1)
        continue_as_new()

    run = SteppedRun(handles).start()
    run.send(run.signal_message(go, 1), run.signal_message(go, 2))
    assert [int(bytes(signal.value)) for signal in next_of(run).signals] == [2]
    assert seen == [1]
    replays(run)


# --- cancellation


def test_a_cancellation_that_comes_too_late_goes_along() -> None:
    """The code had asked to continue: it is the next run that hears of it, at its first await."""
    run = SteppedRun(counts, 0).start()
    run.send(run.signal_message(go, 1), RequestCancel(request="c-1", reason="enough"))
    assert closes(run).cancel
    after = follows(run)
    assert after.send(after.start_message) == ["RunStarted", "CancelRequested", "RunCancelled"]
    assert closes(after).reason == "enough"
    replays(run)
    replays(after)


def test_a_cancellation_that_the_code_has_seen_is_its_own_to_answer() -> None:
    """One that is swallowed does not go along, and its repeat is dropped by the next run."""

    @workflow
    async def stubborn() -> None:
        try:
            await go.receive()
        except asyncio.CancelledError:
            continue_as_new()

    run = SteppedRun(stubborn).start()
    assert run.cancel() == ["CancelRequested", "RunContinuedAsNew"]
    assert next_of(run).cancel is None
    after = follows(run).start()
    assert after.send(RequestCancel(request="cancel")) == []
    assert after.send(RequestCancel(request="another")) == ["CancelRequested", "RunContinuedAsNew"]
    replays(run)


def test_a_cancellation_ends_handlers_that_hold_the_run_open() -> None:
    """Else one that waits for ever would hold it for ever."""

    @workflow
    async def handles() -> None:
        @go.handler
        async def take(_n: int) -> None:
            await other.receive()

        await sleep(1)
        continue_as_new()

    run = SteppedRun(handles).start()
    run.signal(go, 1)
    run.now_ms += 1_000
    assert run.send(TimerDue(workflow_id="wf-1", run_id="run-1", id=1)) == ["TimerFired"]
    assert run.cancel() == ["CancelRequested", "RunContinuedAsNew"]
    assert next_of(run).cancel is not None
    replays(run)


def test_termination_goes_before_it() -> None:
    """Nothing continues what was terminated."""
    run = SteppedRun(counts, 0).start()
    run.send(run.signal_message(go, 1), Terminate(request="t"))
    assert closes(run).status == "terminated"
    assert run.last.continued is None


# --- how the code asks


def test_finally_blocks_run_and_may_await() -> None:
    """It is an exception on its way through the code."""

    @workflow
    async def tidies() -> None:
        try:
            continue_as_new()
        except Exception:
            raise AssertionError("`except Exception` takes it") from None
        finally:
            await sleep(3)

    run = SteppedRun(tidies).start()
    assert run.tags()[-1] == "TimerStarted"
    run.now_ms += 3_000
    assert run.send(TimerDue(workflow_id="wf-1", run_id="run-1", id=1)) == ["TimerFired", "RunContinuedAsNew"]
    replays(run)


def test_code_that_catches_it_goes_on() -> None:
    """`except BaseException` takes everything; that is the code's decision."""

    @workflow
    async def catches() -> str:
        try:
            continue_as_new()
        except BaseException:
            return "went on"

    run = SteppedRun(catches).start()
    assert closes(run).status == "completed"


@activity
async def work() -> None: ...


def test_in_a_task_group_it_leaves_the_group_alone() -> None:
    """The group cancels its tasks and wraps it; nothing else has failed, so the run continues."""

    @workflow
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_wait())
            await sleep(1)
            continue_as_new()

    async def _wait() -> None:
        await work()

    run = SteppedRun(grouped).start()
    run.now_ms += 1_000
    tags = run.send(TimerDue(workflow_id="wf-1", run_id="run-1", id=1))
    assert tags == ["TimerFired", "ActivityCancelRequested", "RunContinuedAsNew"]
    assert not run.tasks
    replays(run)


def test_what_else_failed_in_the_group_fails_the_run() -> None:
    """A failure is not to be lost because the code wanted to continue."""

    @workflow
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_breaks())
            await sleep(1)
            continue_as_new()

    async def _breaks() -> None:
        try:
            await work()
        finally:
            raise ValueError("the cleanup failed")

    run = SteppedRun(grouped).start()
    run.now_ms += 1_000
    run.send(TimerDue(workflow_id="wf-1", run_id="run-1", id=1))
    event = closes(run)
    assert isinstance(event, RunFailed)
    assert "the cleanup failed" in str(event.failure)
    assert "ContinueAsNew" not in str(event.failure)
    replays(run)


def test_within_timeouts_it_is_the_same() -> None:
    """`asyncio.timeout` turns cancellations into errors, and this is none."""

    @workflow
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await sleep(0)
            continue_as_new()

    assert closes(SteppedRun(bounded).start()).status == "continued_as_new"


async def _asks() -> None:
    continue_as_new(0)


@workflow
async def in_a_task(_n: int) -> None:
    await asyncio.create_task(_asks())


@workflow
async def in_a_handler(_n: int) -> None:
    @go.handler
    def take(_value: int) -> None:
        continue_as_new(0)

    await other.receive()


@pytest.mark.parametrize("code", [in_a_task, in_a_handler])
def test_only_the_main_coroutine_may_ask(code: Any) -> None:
    """Anywhere else it would leave a task that nobody need wait for. The error says what to do, and fails the run as any does."""
    run = SteppedRun(code, 0).start()
    if not run.execution.closed:
        run.signal(go, 1)
    event = closes(run)
    assert isinstance(event, RunFailed)
    assert "main coroutine only" in str(event.failure)
    replays(run)


def test_code_that_only_reads_may_not_ask() -> None:
    """A query leaves no trace."""

    @workflow
    async def asked() -> None:
        @Query("q", int).handler
        def answer() -> int:
            continue_as_new()

        await go.receive()

    run = SteppedRun(asked).start()
    assert "read-only" in str(run.query("q").failure)
    assert not run.execution.closed


@pytest.mark.parametrize("wrong", [("x",), (1, 2), ()])
def test_arguments_are_checked_at_the_call(wrong: tuple[Any, ...]) -> None:
    """With the workflow's own signature: what does not fit is the code's error, there."""
    caught: list[Exception] = []

    @workflow
    async def continues(_n: int = 0, *, go_on: bool = True) -> None:
        try:
            _continue(*(wrong or ({1: 2},)))
        except (EncodeError, InvalidCallError) as error:
            caught.append(error)

    run = SteppedRun(continues).start()
    assert closes(run).status == "completed"
    assert "continues" in str(caught[0])


def _continue(*args: Any) -> NoReturn:
    continue_as_new(*args)


def test_outside_of_workflow_code_it_says_so() -> None:
    """Like all that works there only."""
    with pytest.raises(InvalidCallError, match="continue_as_new works only in workflow code"):
        continue_as_new()


# --- options


@workflow(name="elsewhere", timeout=40)
async def elsewhere(text: str) -> str:
    return text


def test_it_may_go_on_as_another_workflow_on_another_queue() -> None:
    """Its arguments are checked against that one's signature, and its time limit is its own."""

    @workflow(timeout=10)
    async def moves(_n: int) -> str:
        continue_as_new.into(elsewhere, queue="far")("hello")

    run = SteppedRun(moves, 1).start()
    start = next_of(run)
    assert (start.workflow, start.queue, start.timeout_ms, arguments(start)) == ("elsewhere", "far", 40_000, ("hello",))
    replays(run)


@pytest.mark.parametrize(("given", "expected"), [(None, 10_000), (3, 3_000)])
def test_the_time_limit_stays_unless_it_is_given(given: int | None, expected: int) -> None:
    """Each run of the chain has it anew."""

    @workflow(timeout=10)
    async def again(_n: int) -> None:
        continue_as_new.into(run_timeout=given)(1)

    run = SteppedRun(again, 1).start()
    assert next_of(run).timeout_ms == expected


def test_a_workflow_by_name_takes_any_arguments() -> None:
    """Its code may live elsewhere."""

    @workflow
    async def moves() -> None:
        continue_as_new.into("unknown-here")({"a": 1}, b=2)

    start = next_of(SteppedRun(moves).start())
    assert (start.workflow, arguments(start)) == ("unknown-here", ({"a": 1},))


def test_bad_options_are_refused() -> None:
    """Before anything is asked for."""
    with pytest.raises(DefinitionError, match="expected a workflow"):
        continue_as_new.into(work)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="run_timeout"):
        continue_as_new.into(run_timeout=0)


# --- what the code knows


def test_info_tells_the_chain_and_how_long_the_history_is() -> None:
    """The same live and in a replay, or the code would part ways with its history."""
    seen: list[tuple[Any, ...]] = []

    @workflow
    async def looks(n: int) -> None:
        while True:
            seen.append((info().history_length, info().history_size, info().first_run_id, info().continued_from))
            if not await go.receive():
                continue_as_new(n + 1)
            await work()

    run = SteppedRun(looks, 0).start()
    run.signal(go, 1)
    run.complete(1, None)
    run.signal(go, 0)
    live, seen[:] = list(seen), []
    replays(run)
    assert seen == live
    assert [length for length, *_ in live] == [1, 4]
    assert live[0][1] < live[1][1]
    assert live[0][2:] == ("run-1", None)
    seen.clear()
    after = follows(run).start()
    assert seen[0][2:] == ("run-1", "run-1")
    after.execution.dispose()


@pytest.mark.parametrize(("name", "limit"), [("HISTORY_EVENTS_SUGGESTED", 4), ("HISTORY_BYTES_SUGGESTED", 900)])
def test_it_is_suggested_by_length_and_by_size(monkeypatch: pytest.MonkeyPatch, name: str, limit: int) -> None:
    """Whichever comes first; a replay finds the same."""
    monkeypatch.setattr(_limits, name, limit)

    @workflow
    async def until_told(rounds: int) -> int:
        while not info().continue_as_new_suggested:
            await go.receive()
            rounds += 1
        continue_as_new(rounds)

    run = SteppedRun(until_told, 0).start()
    while not run.execution.closed:
        run.signal(go, 1)
    assert 2 <= arguments(next_of(run))[0] <= 6
    replays(run)


def test_a_replay_whose_code_ends_otherwise_is_told() -> None:
    """The close is matched by its kind, as any other."""
    run = SteppedRun(counts, 1).start()
    run.signal(go, 4)

    @workflow(name="counts")
    async def returns(n: int) -> int:
        return n + await go.receive()

    with pytest.raises(Exception, match="does not follow"):
        replayed_execution(returns, run.history)


def test_the_event_and_the_start_survive_the_wire() -> None:
    """With all their fields."""
    event = RunContinuedAsNew(
        at=1, new_run_id="r-2", workflow="w", queue="q", args=to_raw(default_codec().encode([[], {}], Any, what="x")),
        timeout_ms=5, signals=("a",), cancel=True,
    )  # fmt: skip
    assert WIRE.decode(WIRE.encode(event)) == event
    started = RunStarted(
        at=1, workflow="w", workflow_id="i", run_id="r-2", queue="q", args=event.args, request="s", first_run_id="r-1",
        continued_from="r-1", execution_timeout_ms=9, deadline_ms=10, requests=("a",),
        signals=(CarriedSignal(name="n", request="b", value=event.args),),
    )  # fmt: skip
    assert WIRE.decode(WIRE.encode(started)) == started
