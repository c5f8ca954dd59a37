"""Signals: kept until they are read, in order, handed to handlers one at a time, never lost."""

import asyncio

import pytest

from durable._log import SendSignal
from durable.author import Signal, activity, sleep, wait_condition, workflow
from durable.errors import DecodeError
from durable.history import SignalReceived, to_raw
from tests.engine.harness import SteppedRun, payload

number = Signal("number", int)
go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


async def test_a_signal_is_read_in_the_order_of_arrival() -> None:
    """Those that arrive before anyone waits are kept."""

    @workflow
    async def reads() -> list[int]:
        await go.receive()
        return [await number.receive() for _ in range(3)]

    run = SteppedRun(reads).start()
    for n in (1, 2, 3):
        run.signal(number, n)
    assert run.status == "running"
    run.signal(go)
    assert run.result() == [1, 2, 3]


async def test_a_repeated_request_is_dropped() -> None:
    """The same request id is the same call: its signal is recorded once."""

    @workflow
    async def reads() -> list[int]:
        return [await number.receive(), await number.receive()]

    run = SteppedRun(reads).start()
    assert run.signal(number, 1, request="a") == ["SignalReceived"]
    assert run.signal(number, 1, request="a") == []
    run.reload()
    assert run.signal(number, 1, request="a") == []
    run.signal(number, 2, request="b")
    assert run.result() == [1, 2]


async def test_signals_that_come_with_the_last_result_are_recorded_before_the_close() -> None:
    """A signal acknowledged before a run closes is in its history (DESIGN §5)."""

    @workflow
    async def one() -> int:
        return await work(1)

    run = SteppedRun(one).start()
    tags = run.send(run.ended(1, 1), run.signal_message(number, 7))
    assert tags == ["SignalReceived", "ActivityCompleted", "RunCompleted"]


async def test_a_signal_that_ends_the_code_does_not_swallow_the_next_one() -> None:
    """All messages of a step are delivered, though the first of them ends the code."""

    @workflow
    async def one() -> int:
        return await number.receive()

    run = SteppedRun(one).start()
    tags = run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    assert tags == ["SignalReceived", "SignalReceived", "RunCompleted"]
    assert run.reload().status == "completed"


async def test_a_handler_takes_what_was_kept_first() -> None:
    """A handler that is registered late gets the signals that came before it, in order."""

    @workflow
    async def handled() -> list[int]:
        got: list[int] = []
        await go.receive()

        @number.handler
        def on_number(n: int) -> None:
            got.append(n)

        await wait_condition(lambda: len(got) == 3)
        return got

    run = SteppedRun(handled).start()
    run.signal(number, 1)
    run.signal(number, 2)
    run.signal(go)
    run.signal(number, 3)
    assert run.result() == [1, 2, 3]


async def test_async_handlers_of_a_run_take_turns() -> None:
    """The second signal waits until the first handler is done: no lock is needed."""

    @workflow
    async def handled() -> list[str]:
        log: list[str] = []

        @number.handler
        async def on_number(n: int) -> None:
            log.append(f"begin {n}")
            await work(n)
            log.append(f"end {n}")

        await wait_condition(lambda: len(log) == 4)
        return log

    run = SteppedRun(handled).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    assert run.waiting() == ["work#1"]
    run.complete(1, 1)
    assert run.waiting() == ["work#2"]
    run.complete(2, 2)
    assert run.result() == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_concurrent_handlers_overlap() -> None:
    """`concurrent=True` starts each handler at once."""

    @workflow
    async def handled() -> list[int]:
        got: list[int] = []

        @number.handler(concurrent=True)
        async def on_number(n: int) -> None:
            got.append(await work(n))

        await wait_condition(lambda: len(got) == 2)
        return got

    run = SteppedRun(handled).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    assert run.waiting() == ["work#1", "work#2"]
    run.complete(2, 20)
    run.complete(1, 10)
    assert run.result() == [20, 10]


async def test_the_run_waits_for_its_handlers_before_it_closes() -> None:
    """A handler that is under way when the code returns is let finish."""

    @workflow
    async def handled() -> str:
        @number.handler
        async def on_number(n: int) -> None:
            await work(n)

        await go.receive()
        return "returned"

    run = SteppedRun(handled).start()
    run.signal(number, 1)
    run.signal(go)
    assert run.status == "running"
    assert run.complete(1, 1) == ["ActivityCompleted", "RunCompleted"]
    assert run.reload().status == "completed"


async def test_an_exception_of_a_handler_fails_the_run() -> None:
    """A handler is the workflow's code: what leaves it fails the run."""

    @workflow
    async def handled() -> None:
        @number.handler
        def on_number(n: int) -> None:
            raise ValueError(f"bad {n}")

        await sleep("1 day")

    run = SteppedRun(handled).start()
    run.signal(number, 3)
    assert run.status == "failed"
    assert run.failure() == "builtins.ValueError: bad 3"
    assert run.dues == {}


async def test_a_failed_run_does_not_wait_for_a_handler_that_waits_for_it() -> None:
    """When the code has failed, its handlers are cancelled: what they wait for will not come."""
    cleaned = []

    @workflow
    async def handled() -> None:
        @number.handler
        async def on_number(n: int) -> None:
            try:
                await wait_condition(lambda: False)
            finally:
                cleaned.append(n)

        await go.receive()
        raise ValueError("broken")

    run = SteppedRun(handled).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    run.signal(go)
    assert run.status == "failed"
    assert cleaned == [1]
    assert run.reload().status == "failed"


async def test_cancellation_reaches_a_handler_that_alone_holds_the_run_open() -> None:
    """The code has returned; without this the run could never be cancelled."""

    @workflow
    async def handled() -> str:
        @number.handler
        async def on_number(n: int) -> None:
            await sleep("100 days")

        await go.receive()
        return "returned"

    run = SteppedRun(handled).start()
    run.signal(number, 1)
    run.signal(go)
    assert run.status == "running"
    run.cancel()
    assert run.status == "completed"
    assert run.dues == {}
    assert run.reload().status == "completed"


async def test_a_cancelled_handler_does_not_stop_the_next_one() -> None:
    """A handler whose own wait is cancelled ends; the signals behind it get their turn."""

    @workflow
    async def handled() -> list[int]:
        got: list[int] = []

        @number.handler
        async def on_number(n: int) -> None:
            if n == 1:
                raise asyncio.CancelledError
            got.append(n)

        await wait_condition(lambda: bool(got))
        return got

    run = SteppedRun(handled).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    assert run.result() == [2]


async def test_receive_gives_up_at_its_timeout() -> None:
    """A durable timer; it is taken back when the signal is in time."""

    @workflow
    async def patient() -> str:
        try:
            return f"got {await number.receive(timeout='1 hour')}"
        except TimeoutError as error:
            return str(error)

    late = SteppedRun(patient).start()
    assert late.fire_next() == ["TimerFired", "RunCompleted"]
    assert late.result() == "no signal 'number' within 1 hour"
    early = SteppedRun(patient).start()
    assert early.signal(number, 5) == ["SignalReceived", "TimerCancelled", "RunCompleted"]
    assert early.result() == "got 5"
    assert early.dues == {}


async def test_receive_returns_the_default_instead_of_raising() -> None:
    """`default=` is returned after the timeout; None is a default as well."""

    @workflow
    async def patient() -> list[int | None]:
        return [await number.receive(timeout=1, default=-1), await number.receive(timeout=1, default=None)]

    run = SteppedRun(patient).start().drive()
    assert run.result() == [-1, None]


async def test_a_signal_that_is_there_needs_no_timer() -> None:
    """A kept signal is returned at once."""

    @workflow
    async def patient() -> int:
        await go.receive()
        return await number.receive(timeout=5)

    run = SteppedRun(patient).start()
    run.signal(number, 1)
    assert run.signal(go) == ["SignalReceived", "RunCompleted"]


async def test_receive_nowait_returns_what_is_there() -> None:
    """None if nothing has arrived."""

    @workflow
    async def peeks() -> list[int | None]:
        before = number.receive_nowait()
        await go.receive()
        return [before, number.receive_nowait(), number.receive_nowait()]

    run = SteppedRun(peeks).start()
    run.signal(number, 4)
    run.signal(go)
    assert run.result() == [None, 4, None]


async def test_iteration_yields_each_signal() -> None:
    """`async for` reads one after the other."""

    @workflow
    async def sums() -> int:
        total = 0
        async for n in number:
            if n == 0:
                return total
            total += n
        return -1

    run = SteppedRun(sums).start()
    for n in (1, 2, 0):
        run.signal(number, n)
    assert run.result() == 3


async def test_a_signal_handed_to_a_cancelled_receiver_goes_to_the_next_one() -> None:
    """Two wait; the first is cancelled in the step in which its signal arrives. The second gets it, at once."""

    @workflow
    async def two_readers() -> list[str]:
        log: list[str] = []

        async def reader(name: str) -> None:
            log.append(f"{name} {await number.receive()}")

        first, second = asyncio.create_task(reader("first")), asyncio.create_task(reader("second"))

        @go.handler
        def stop_first() -> None:
            first.cancel()

        await asyncio.wait([second])
        return log

    run = SteppedRun(two_readers).start()
    run.signal(go)
    run.signal(number, 1)
    assert run.result() == ["second 1"]

    @workflow
    async def raced() -> list[str]:
        log: list[str] = []

        async def reader(name: str) -> None:
            log.append(f"{name} {await number.receive()}")

        first, second = asyncio.create_task(reader("first")), asyncio.create_task(reader("second"))
        await asyncio.sleep(0)
        _deliver_and_cancel(first)
        await asyncio.wait([second])
        return log

    run = SteppedRun(raced).start()
    assert run.result() == ["second 9"]


def _deliver_and_cancel(task: asyncio.Task[None]) -> None:
    """Do what no event does: a signal and a cancellation of its receiver in one turn of the loop."""
    from durable._runtime.context import require_run

    require_run("test").signals.deliver(SignalReceived(at=0, name="number", request="raced", value=to_raw(payload(9))))
    task.cancel()


async def test_a_value_of_the_wrong_type_makes_the_run_stuck() -> None:
    """It does not fail the run, whether it is received or handled; the path into the value is named."""

    @workflow
    async def reads() -> int:
        try:
            return await number.receive()
        except BaseException:
            return -1

    run = SteppedRun(reads).start()
    with pytest.raises(DecodeError, match="number"):
        run.send(SendSignal(name="number", value=to_raw(payload("five")), request="r"))

    @workflow
    async def handled() -> None:
        await go.receive()
        number.handler(lambda_like)
        await sleep(1)

    run = SteppedRun(handled).start()
    run.send(SendSignal(name="number", value=to_raw(payload("five")), request="r"))
    with pytest.raises(DecodeError, match="number"):
        run.signal(go)


def lambda_like(_: int) -> None:
    """A handler."""


async def test_a_handler_must_take_the_value() -> None:
    """A handler without a parameter would lose it."""

    @workflow
    async def handled() -> None:
        @number.handler
        def on_number() -> None: ...

    run = SteppedRun(handled).start()
    assert run.status == "failed"
    assert "must take the value of signal 'number'" in run.failure()


async def test_unknown_signals_go_to_the_dynamic_handler() -> None:
    """With their name; those that came before it first, in their order over all names."""

    @workflow
    async def dynamic() -> list[tuple[str, object]]:
        got: list[tuple[str, object]] = []
        await go.receive()

        @Signal.dynamic
        def on_any(name: str, value: object) -> None:
            got.append((name, value))

        await wait_condition(lambda: len(got) == 4)
        return got

    run = SteppedRun(dynamic).start()
    run.signal(Signal("b", int), 1)
    run.signal(Signal("a", str), "x")
    run.signal(Signal("b", int), 2)
    run.signal(go)
    run.reload()
    run.signal(Signal("c"))
    assert run.reload().result() == [("b", 1), ("a", "x"), ("b", 2), ("c", None)]


async def test_a_signal_that_the_code_asks_for_is_not_unknown() -> None:
    """One that it has received, or handles, does not come to the dynamic handler."""

    @workflow
    async def dynamic() -> list[object]:
        got: list[object] = []

        @Signal.dynamic
        async def on_any(name: str, value: object) -> None:
            got.append([name, value, await work(1)])

        @number.handler
        def on_number(n: int) -> None:
            got.append(n)

        await go.receive()
        await go.receive()
        return got

    run = SteppedRun(dynamic).start()
    run.signal(number, 5)
    run.signal(go)
    run.signal(Signal("other", int), 7)
    run.complete(1, 1)
    run.signal(go)
    assert run.reload().result() == [5, ["other", 7, 1]]


async def test_several_consumers_share_the_signals_of_a_name() -> None:
    """Each signal goes to one of them: who waits longest comes first."""

    @workflow
    async def shared() -> list[list[int]]:
        async def two() -> list[int]:
            return [await number.receive(), await number.receive()]

        return list(await asyncio.gather(two(), two()))

    run = SteppedRun(shared).start()
    for n in (1, 2, 3, 4):
        run.signal(number, n)
    assert run.reload().result() == [[1, 3], [2, 4]]


async def test_a_run_does_not_wait_for_a_handler_that_it_abandons() -> None:
    """`unfinished="abandon"`: it is cancelled when the code returns."""
    cleaned: list[int] = []

    @workflow
    async def abandoning() -> str:
        @number.handler(unfinished="abandon", concurrent=True)
        async def on_number(n: int) -> None:
            try:
                await work(n)
            finally:
                cleaned.append(n)

        await go.receive()
        return "returned"

    run = SteppedRun(abandoning).start()
    run.send(run.signal_message(number, 1), run.signal_message(number, 2))
    assert run.signal(go)[-1] == "RunCompleted"
    assert cleaned == [1, 2]
    assert run.tasks == {}
    assert run.reload().status == "completed"


async def test_a_later_handler_takes_over() -> None:
    """From its registration on; what came before went to the earlier one."""

    @workflow
    async def changes_hands() -> list[str]:
        taken: list[str] = []

        @number.handler
        def first(n: int) -> None:
            taken.append(f"first {n}")

        await go.receive()

        @number.handler
        def second(n: int) -> None:
            taken.append(f"second {n}")

        await go.receive()
        return taken

    run = SteppedRun(changes_hands).start()
    run.signal(number, 1)
    run.signal(go)
    run.signal(number, 2)
    run.signal(go)
    assert run.result() == ["first 1", "second 2"]
