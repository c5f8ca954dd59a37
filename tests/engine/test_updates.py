"""Updates: rejected without a trace, or accepted, carried out once, and answered; handlers in turn; the run waits for them."""

import asyncio
from typing import Any

import pytest

from durable._log import HANDLERS_QUERY, AskQuery, RunTimeoutDue, read_acceptance
from durable.author import Query, Signal, Update, activity, local, sleep, wait_condition, workflow
from durable.errors import DecodeError, DefinitionError, InvalidCallError, NonDeterminismError
from durable.history import to_raw
from tests.engine.harness import SteppedRun, payload


class Refused(Exception):
    """Declared by `strict`."""


add = Update("add", int, int)
strict = Update("strict", int, int, raises=[Refused])
reset = Update("reset")
total = Query("total", int)
note = Signal("note", str)
go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


@workflow
async def counter() -> int:
    state = 0

    @total.handler
    def tell() -> int:
        return state

    @add.validator
    def check(n: int) -> None:
        if n < 0:
            raise ValueError(f"negative: {n}")

    @add.handler
    async def on_add(n: int) -> int:
        nonlocal state
        state += await work(n)
        return state

    await go.receive()
    return state


async def test_an_update_is_accepted_then_carried_out_then_answered() -> None:
    """Its handler may await activities; the end is an event of its own."""
    run = SteppedRun(counter).start()
    assert run.update(add, 2, id="a") == ["UpdateAccepted", "ActivityScheduled"]
    assert run.told("a") == "accepted"
    assert run.updated("a") is None
    assert run.complete(1, 2) == ["ActivityCompleted", "UpdateCompleted"]
    assert [reply_id for reply_id, _ in run.last.replies] == ["run-1/update/a"]
    assert run.updated("a") == 2
    assert run.signal(go) == ["SignalReceived", "RunCompleted"]
    assert run.reload().result() == 2


async def test_the_acceptance_says_where_it_is_recorded() -> None:
    """The run and the number of the event, so that whoever waits need not read what was before."""
    run = SteppedRun(counter).start()
    run.update(add, 2, id="a")
    accepted = read_acceptance(run.last.replies[0][1])
    assert (accepted.run_id, accepted.seq) == ("run-1", run.tags().index("UpdateAccepted") + 1)


async def test_a_refused_update_leaves_no_trace() -> None:
    """The validator's exception is the caller's; the history does not grow, and no replay asks the validator."""
    run = SteppedRun(counter).start()
    before = list(run.history)
    assert run.update(add, -1, id="a") == []
    assert run.told("a") == "builtins.ValueError: negative: -1"
    assert run.history == before
    assert run.update(add, 1, id="a") == ["UpdateAccepted", "ActivityScheduled"], "the id was not used up"


async def test_a_replay_does_not_ask_the_validator() -> None:
    """What was accepted once stays accepted, although the validator would refuse it by now."""
    refuses = False
    asked = 0

    @workflow
    async def choosy() -> int:
        @add.validator
        def check(_n: int) -> None:
            nonlocal asked
            asked += 1
            if refuses:
                raise ValueError("no more")

        @add.handler
        def on_add(n: int) -> int:
            return n + 1

        await go.receive()
        return 0

    run = SteppedRun(choosy).start()
    assert run.update(add, 1, id="a") == ["UpdateAccepted", "UpdateCompleted"]
    refuses = True
    run.reload()
    assert asked == 1
    run.update(add, 1, id="b")
    assert run.told("b") == "builtins.ValueError: no more"


async def test_an_update_is_carried_out_once() -> None:
    """A repeat of the id is told that it was accepted, on a cached and on a replayed run."""
    run = SteppedRun(counter).start()
    run.update(add, 2, id="a")
    for _ in range(2):
        assert run.update(add, 2, id="a") == []
        accepted = read_acceptance(run.last.replies[0][1])
        assert (accepted.run_id, accepted.seq) == ("run-1", 0)
        run.reload()
    run.complete(1, 2)
    assert run.update(add, 2, id="a") == []
    assert run.answer("total") == 2


async def test_ids_of_earlier_runs_are_known_as_well() -> None:
    """What an earlier run of the chain accepted is not carried out again: the sender is told which run did it."""
    run = SteppedRun(counter).start()
    assert run.execution.run is not None
    run.execution.run.updates.preload({"a": "run-0"})
    assert run.update(add, 2, id="a") == []
    assert read_acceptance(run.last.replies[0][1]).run_id == "run-0"
    run.update(add, 2, id="b")
    assert run.execution.run.updates.taken == {"a": "run-0", "b": "run-1"}


async def test_what_a_handler_raises_is_its_callers() -> None:
    """The run goes on."""

    @workflow
    async def failing() -> str:
        @add.handler
        async def on_add(n: int) -> int:
            await work(n)
            raise KeyError(n)

        await go.receive()
        return "went on"

    run = SteppedRun(failing).start()
    run.update(add, 3, id="a")
    assert run.complete(1, 3) == ["ActivityCompleted", "UpdateCompleted"]
    assert run.updated("a") == "builtins.KeyError: 3"
    run.signal(go)
    assert run.reload().result() == "went on"


async def test_a_result_of_another_type_is_the_handlers_failure() -> None:
    """The caller is told; nothing is stuck."""

    @workflow
    async def wrong() -> None:
        @add.handler
        def on_add(n: int) -> Any:
            return f"{n}"

        await go.receive()

    run = SteppedRun(wrong).start()
    assert run.update(add, 3, id="a") == ["UpdateAccepted", "UpdateCompleted"]
    assert "the result of update 'add': expected int, got str" in run.updated("a")
    assert run.reload().status == "running"


async def test_a_value_of_another_type_is_refused() -> None:
    """A caller that declares another type than the workflow leaves no trace."""
    run = SteppedRun(counter).start()
    assert run.update(Update("add", str), "two", id="a") == []
    assert "expected int, got str" in run.told("a")


async def test_nondeterminism_in_a_handler_makes_the_run_stuck() -> None:
    """It is no failure of the update: the code is to be put right, and the update goes on then."""

    @workflow
    async def impure() -> None:
        @add.handler
        async def on_add(n: int) -> int:
            raise NonDeterminismError("not repeatable")

        await go.receive()

    run = SteppedRun(impure).start()
    with pytest.raises(NonDeterminismError, match="not repeatable"):
        run.update(add, 1)


async def test_a_validator_that_changes_the_run_makes_it_stuck() -> None:
    """No history could say that it did."""

    @workflow
    async def impure() -> None:
        told = asyncio.Event()

        @add.validator
        def check(_n: int) -> None:
            told.set()

        @add.handler
        def on_add(n: int) -> int:
            return n

        await told.wait()

    run = SteppedRun(impure).start()
    with pytest.raises(NonDeterminismError, match="the validator of update 'add' woke a part of the workflow"):
        run.update(add, 1)


async def test_a_validator_may_only_read() -> None:
    """A command in it is refused, and that is the reason for the rejection."""

    @workflow
    async def commanding() -> None:
        @add.validator
        def check(n: int) -> None:
            work(n)

        @add.handler
        def on_add(n: int) -> int:
            return n

        await go.receive()

    run = SteppedRun(commanding).start()
    assert run.update(add, 1, id="a") == []
    assert "the validator of update 'add' is read-only" in run.told("a")


async def test_an_update_waits_for_its_handler() -> None:
    """It is held, outside of the history, and offered again after every step."""

    @workflow
    async def late() -> int:
        await go.receive()

        @add.handler
        def on_add(n: int) -> int:
            return n + 1

        await go.receive()
        return 0

    run = SteppedRun(late).start()
    assert run.update(add, 1, id="a") == []
    assert run.told("a") == ""
    assert len(run.held) == 1
    assert run.update(add, 2, id="b") == []
    assert run.signal(go) == [
        "SignalReceived",
        "UpdateAccepted",
        "UpdateCompleted",
        "UpdateAccepted",
        "UpdateCompleted",
    ]
    assert (run.told("a"), run.told("b")) == ("accepted", "accepted")
    assert run.held == []
    run.signal(go)
    assert run.reload().status == "completed"


async def test_a_held_update_is_taken_by_a_handler_of_the_last_step() -> None:
    """Code that makes a handler and returns takes what was held, before it closes."""

    @workflow
    async def last() -> int:
        await go.receive()
        got = 0

        @add.handler
        async def on_add(n: int) -> int:
            nonlocal got
            got += await work(n)
            return got

        return -1

    run = SteppedRun(last).start()
    run.update(add, 1, id="a")
    assert run.signal(go) == ["SignalReceived", "UpdateAccepted", "ActivityScheduled"]
    assert run.complete(1, 5) == ["ActivityCompleted", "UpdateCompleted", "RunCompleted"]
    assert run.updated("a") == 5


async def test_what_was_held_is_refused_when_the_run_closes() -> None:
    """The caller is told which updates there were; nothing stays in the inbox."""
    run = SteppedRun(counter).start()
    run.update(Update("sub", int), 1, id="a")
    assert len(run.held) == 1
    assert run.signal(go) == ["SignalReceived", "RunCompleted"]
    assert run.held == []
    assert "the run ended as completed and never had a handler for update 'sub'; it had: add" in run.told("a")


@pytest.mark.parametrize("how", ["terminated", "timed_out"])
async def test_what_was_held_is_refused_when_the_run_is_ended_from_outside(how: str) -> None:
    """Also where the code was not asked."""
    run = SteppedRun(counter).start()
    run.update(Update("sub", int), 1, id="a")
    run.send(RunTimeoutDue(workflow_id="wf-1", run_id="run-1", timeout_ms=5)) if how == "timed_out" else run.terminate()
    assert run.status == how
    assert f"the run ended as {how} and never had a handler for update 'sub'" in run.told("a")


async def test_updates_and_signals_take_turns_in_their_order() -> None:
    """One pump for all async handlers of a run."""

    @workflow
    async def both() -> list[str]:
        log: list[str] = []

        @note.handler
        async def on_note(text: str) -> None:
            log.append(f"{text} begins")
            await work(0)
            log.append(f"{text} ends")

        @add.handler
        async def on_add(n: int) -> int:
            log.append(f"{n} begins")
            await work(n)
            log.append(f"{n} ends")
            return n

        await go.receive()
        return log

    run = SteppedRun(both).start()
    run.send(run.signal_message(note, "x"), run.update_message(add, 1), run.signal_message(note, "y"))
    for _ in range(3):
        (task,) = run.tasks.values()
        run.complete(task.id, 0)
    run.signal(go)
    assert run.reload().result() == ["x begins", "x ends", "1 begins", "1 ends", "y begins", "y ends"]


async def test_concurrent_handlers_overlap() -> None:
    """`concurrent=True`: the second does not wait for the first, and each caller gets its own result."""

    @workflow
    async def overlapping() -> None:
        @add.handler(concurrent=True)
        async def on_add(n: int) -> int:
            return await work(n) * 10

        await go.receive()

    run = SteppedRun(overlapping).start()
    run.send(run.update_message(add, 1, id="a"), run.update_message(add, 2, id="b"))
    assert len(run.waiting()) == 2
    run.complete(2, 2)
    assert (run.updated("a"), run.updated("b")) == (None, 20)
    run.reload()
    run.complete(1, 1)
    assert run.updated("a") == 10


async def test_the_run_waits_for_its_handlers() -> None:
    """It has returned, and closes once the update is completed."""
    run = SteppedRun(counter).start()
    run.update(add, 1, id="a")
    assert run.signal(go) == ["SignalReceived"]
    assert run.update(add, 1, id="b") == ["UpdateAccepted"], "it takes more while it is open"
    run.reload()
    assert run.complete(1, 1) == ["ActivityCompleted", "UpdateCompleted", "ActivityScheduled"]
    assert run.complete(3, 1) == ["ActivityCompleted", "UpdateCompleted", "RunCompleted"]
    assert run.reload().status == "completed"


async def test_a_run_does_not_wait_for_what_it_abandons() -> None:
    """Its handler is cancelled, and its caller is told."""
    cleaned: list[int] = []

    @workflow
    async def abandoning() -> str:
        @add.handler(unfinished="abandon")
        async def on_add(n: int) -> int:
            try:
                return await work(n)
            finally:
                cleaned.append(n)

        @note.handler(unfinished="abandon")
        async def on_note(_text: str) -> None:
            await sleep("1 day")

        await go.receive()
        return "returned"

    run = SteppedRun(abandoning).start()
    run.send(run.update_message(add, 1, id="a"), run.update_message(add, 2, id="b"), run.signal_message(note, "x"))
    tags = run.signal(go)
    assert tags[0] == "SignalReceived"
    assert tags[-1] == "RunCompleted"
    assert tags.count("UpdateCompleted") == 2
    assert cleaned == [1]
    for update in "ab":
        assert run.updated(update).startswith(
            "asyncio.exceptions.CancelledError: the handler of update 'add' was cancelled"
        )
    assert run.tasks == {}
    assert run.reload().status == "completed"


async def test_what_is_to_wait_is_not_held_up_by_what_is_abandoned() -> None:
    """A handler that is behind one to abandon gets its turn once the code has returned."""

    @workflow
    async def mixed() -> str:
        @note.handler(unfinished="abandon")
        async def on_note(_text: str) -> None:
            await sleep("100 days")

        @add.handler
        async def on_add(n: int) -> int:
            return await work(n)

        await go.receive()
        return "returned"

    run = SteppedRun(mixed).start()
    run.send(run.signal_message(note, "x"), run.update_message(add, 2, id="b"))
    assert run.waiting() == []
    run.signal(go)
    assert run.waiting() == ["work#2"] or run.waiting() == ["work#3"], run.waiting()
    run.reload()
    assert run.status == "running"
    command = next(iter(run.tasks.values())).id
    assert run.complete(command, 7)[-1] == "RunCompleted"
    assert run.updated("b") == 7


async def test_a_cancelled_update_does_not_end_its_run() -> None:
    """A handler that ends by its own cancellation fails its caller only."""

    @workflow
    async def cancelling() -> str:
        @add.handler
        async def on_add(n: int) -> int:
            raise asyncio.CancelledError

        await go.receive()
        return "went on"

    run = SteppedRun(cancelling).start()
    run.update(add, 1, id="a")
    run.update(add, 2, id="b")
    assert "was cancelled" in run.updated("a")
    assert "was cancelled" in run.updated("b")
    run.signal(go)
    assert run.reload().result() == "went on"


async def test_a_failed_run_cancels_its_handlers_and_answers_them() -> None:
    """What waited for its turn is answered as well."""

    @workflow
    async def breaking() -> None:
        @add.handler
        async def on_add(n: int) -> int:
            return await work(n)

        await go.receive()
        raise ValueError("broken")

    run = SteppedRun(breaking).start()
    run.send(run.update_message(add, 1, id="a"), run.update_message(add, 2, id="b"))
    tags = run.signal(go)
    assert tags.count("UpdateCompleted") == 2
    assert tags[-1] == "RunFailed"
    assert run.reload().status == "failed"


async def test_a_run_that_is_about_to_close_refuses() -> None:
    """The code has failed, and a handler still cleans up: there is nobody to carry out another one."""

    @workflow
    async def cleaning() -> None:
        @add.handler
        async def on_add(n: int) -> int:
            try:
                return await work(n)
            finally:
                await asyncio.shield(work(0))

        await go.receive()
        raise ValueError("broken")

    run = SteppedRun(cleaning).start()
    run.update(add, 1, id="a")
    run.signal(go)
    assert run.status == "running"
    assert run.update(add, 2, id="b") == []
    assert "about to close" in run.told("b")


async def test_an_update_that_comes_with_the_last_result_is_seen() -> None:
    """Acknowledged before the close: it comes first (DESIGN §5)."""

    @workflow
    async def one() -> int:
        got = 0

        @add.handler
        def on_add(n: int) -> int:
            nonlocal got
            got += n
            return got

        await work(1)
        return got

    run = SteppedRun(one).start()
    tags = run.send(run.ended(1, 1), run.update_message(add, 7, id="a"))
    assert tags == ["UpdateAccepted", "UpdateCompleted", "ActivityCompleted", "RunCompleted"]
    assert run.result() == 7


async def test_a_handler_that_does_something_else_on_replay_is_found() -> None:
    """The end of an update is matched like any command."""
    run = SteppedRun(counter).start()
    run.update(add, 2, id="a")
    run.complete(1, 2)

    @workflow
    async def changed() -> int:
        @add.handler
        async def on_add(n: int) -> int:
            return await work(n) + await work(n)

        await go.receive()
        return 0

    with pytest.raises(NonDeterminismError, match="the end of update 'a'"):
        run.reload(changed)


async def test_a_handler_that_is_gone_on_replay_is_found() -> None:
    """An accepted update must find its handler again."""
    run = SteppedRun(counter).start()
    run.update(add, 2, id="a")

    @workflow
    async def changed() -> None:
        await go.receive()

    with pytest.raises(NonDeterminismError, match="no handler for update 'add'"):
        run.reload(changed)


async def test_a_type_that_was_changed_makes_the_run_stuck() -> None:
    """What was accepted must still be read."""
    run = SteppedRun(counter).start()
    run.update(add, 2, id="a")

    @workflow
    async def changed() -> None:
        @Update("add", str).handler
        async def on_add(text: str) -> str:
            await work(1)
            return text

        await go.receive()

    with pytest.raises(DecodeError, match="expected str, got int"):
        run.reload(changed)


async def test_an_update_without_a_value_or_with_any_result() -> None:
    """`Update("name")` carries None; its handler may take no argument."""

    @workflow
    async def plain() -> None:
        @reset.handler
        def on_reset() -> dict[str, int]:
            return {"was": 3}

        await go.receive()

    run = SteppedRun(plain).start()
    run.update(reset, None, id="a")
    assert run.updated("a") == {"was": 3}


async def test_unknown_updates_go_to_the_dynamic_handler() -> None:
    """With their name and their value as JSON data; a handler of that name goes first."""

    @workflow
    async def dynamic() -> None:
        @Update.dynamic
        async def on_any(name: str, value: Any) -> Any:
            return [name, value, await work(1)]

        @add.handler
        def on_add(n: int) -> int:
            return n

        await go.receive()

    run = SteppedRun(dynamic).start()
    run.update(Update("other", dict[str, int]), {"x": 1}, id="a")
    run.complete(1, 5)
    run.update(add, 4, id="b")
    assert (run.updated("a"), run.updated("b")) == (["other", {"x": 1}, 5], 4)
    run.reload()


async def test_declared_errors_are_recorded_with_what_makes_them_again() -> None:
    """So that the caller gets them as themselves."""

    @workflow
    async def refusing() -> None:
        @strict.validator
        def check(n: int) -> None:
            if n < 0:
                raise Refused("negative", n)

        @strict.handler
        def on_strict(n: int) -> int:
            raise Refused("too much", n)

        await go.receive()

    run = SteppedRun(refusing).start()
    run.update(strict, -1, id="a")
    failure = run.last.replies[0][1].failure
    assert failure is not None
    assert failure["payload"] is not None
    run.update(strict, 1, id="b")
    assert "Refused" in run.updated("b")


async def test_the_run_lists_what_it_takes() -> None:
    """For the errors of callers that were not answered, and for the command line."""

    @workflow
    async def many() -> None:
        @add.handler
        def on_add(n: int) -> int:
            return n

        @total.handler
        def tell() -> int:
            return 0

        @Signal.dynamic
        def on_any(name: str, value: Any) -> None: ...

        await go.receive()

    run = SteppedRun(many).start()
    run.send(AskQuery(name=HANDLERS_QUERY, args=to_raw(payload([[], {}])), reply="reply"))
    reply = run.last.replies[0][1]
    assert bytes(reply.result or b"") == b'{"signals":["go","*"],"queries":["total"],"updates":["add"]}'


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: add.validator(_async_one), DefinitionError, "a validator must be a plain def"),
        (lambda: add.handler(_takes_none), DefinitionError, "must take the value of update 'add'"),
        (lambda: add.handler(unfinished="later"), ValueError, "expected 'wait' or 'abandon', got 'later'"),
        (lambda: Update.dynamic(_async_one), DefinitionError, "must take the update's name and value"),
        (lambda: Signal.dynamic(_async_one), DefinitionError, "must take the signal's name and value"),
        (lambda: Query.dynamic(_async_two), DefinitionError, "a query handler must be a plain def"),
    ],
)
async def test_bad_handlers_are_refused(make: Any, error: type[Exception], told: str) -> None:
    """Where they are registered, with what to do."""

    @workflow
    async def registering() -> None:
        make()

    run = SteppedRun(registering).start()
    assert run.status == "failed"
    assert error.__name__ in run.failure()
    assert told in run.failure()


async def _async_one(n: int) -> None: ...
async def _async_two(name: str, value: Any) -> None: ...
def _takes_none() -> None: ...


@pytest.mark.parametrize("raises", [Refused, ["Refused"], [int]])
def test_bad_declared_errors_are_refused(raises: Any) -> None:
    """As for activities."""
    with pytest.raises(TypeError, match="raises: expected"):
        Update("x", int, int, raises=raises)


def test_handlers_work_in_workflow_code_only() -> None:
    """The message names the update."""
    with pytest.raises(InvalidCallError, match=r"Update\('add'\).handler works only in workflow code"):
        add.handler(_async_one)


async def test_a_condition_that_an_update_makes_true() -> None:
    """The handler's result is recorded in the step in which the code goes on by what it changed."""

    @workflow
    async def waits() -> int:
        got: list[int] = []

        @add.handler
        def on_add(n: int) -> int:
            got.append(n)
            return len(got)

        await wait_condition(lambda: len(got) == 2)
        return sum(got)

    run = SteppedRun(waits).start()
    assert run.update(add, 1) == ["UpdateAccepted", "UpdateCompleted"]
    assert run.update(add, 5) == ["UpdateAccepted", "UpdateCompleted", "RunCompleted"]
    assert run.reload().result() == 6


@pytest.mark.parametrize("first", ["message", "timeout"])
@pytest.mark.parametrize("what", ["update", "signal"])
async def test_a_message_that_comes_with_the_end_of_the_runs_time(what: str, first: str) -> None:
    """In one step with it, the message is recorded before the close, wherever it stands; after it, it is refused."""
    timeout = RunTimeoutDue(workflow_id="wf-1", run_id="run-1", timeout_ms=5)
    run = SteppedRun(counter).start()
    message = run.update_message(add, 1, id="a") if what == "update" else run.signal_message(note, "x")
    tags = run.send(message, timeout) if first == "message" else run.send(timeout, message)
    assert tags[0] == ("UpdateAccepted" if what == "update" else "SignalReceived")
    assert tags[-1] == "RunTimedOut"
    if what == "update":
        assert run.told("a") == "accepted"
        assert run.updated("a") is None, "its end is the run's: whoever waits for it reads that"
        assert run.update(add, 1, id="b") == []
        assert "is closed" in run.told("b")
    assert run.tasks == {}
    assert run.reload().status == "timed_out"


async def test_a_cancelled_run_takes_updates_while_it_cleans_up() -> None:
    """Its code still runs, and so do its handlers."""

    @workflow
    async def cleaning() -> str:
        @add.handler
        async def on_add(n: int) -> int:
            return n + 1

        try:
            await go.receive()
        finally:
            await work(0)
        return "unreachable"

    run = SteppedRun(cleaning).start()
    run.cancel()
    assert run.update(add, 1, id="a") == ["UpdateAccepted", "UpdateCompleted"]
    assert run.complete(1, 0) == ["ActivityCompleted", "RunCancelled"]
    assert run.reload().status == "cancelled"


async def test_a_handler_may_use_local_activities_and_children_of_the_loop() -> None:
    """Tasks of its own, local activities in the step, and a lock that another handler holds."""

    @workflow
    async def busy() -> None:
        lock = asyncio.Lock()

        @add.handler(concurrent=True)
        async def on_add(n: int) -> int:
            async with lock:
                return n + sum(await asyncio.gather(local(work)(n), work(n)))

        await go.receive()

    run = SteppedRun(busy).start()
    run.send(run.update_message(add, 1, id="a"), run.update_message(add, 2, id="b"))
    run.local(1, 10)
    assert run.updated("a") is None
    run.complete(2, 20)
    assert run.updated("a") == 31
    run.local(4, 100)
    run.complete(5, 200)
    assert run.updated("b") == 302
    run.reload()
