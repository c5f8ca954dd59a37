"""A run from outside: its outcome, and what one can say to it and ask it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from durable import Client, Query, RetryPolicy, Signal, Worker, activity, sleep, workflow
from durable.errors import (
    ActivityError,
    DecodeError,
    EncodeError,
    InvalidCallError,
    RemoteError,
    RequestFailedError,
    RequestTimeoutError,
    RunCancelledError,
    RunClosedError,
    RunFailedError,
    RunNotFoundError,
    RunTerminatedError,
    RunTimedOutError,
)
from durable.history import CancelRequested, RunTerminated, SignalReceived
from tests.worker.faulty import FaultyStore

approved = Signal("approved", bool)
nudge = Signal("nudge")
state = Query("state", dict[str, int])


class Refused(Exception):
    """Declared by `failing`."""


class Unheard(Exception):
    """Declared by nobody."""


@workflow
async def waiting(name: str) -> str:
    seen = 0

    @state.handler
    def tell(factor: int = 1) -> dict[str, int]:
        return {"seen": seen * factor}

    @Query("broken").handler
    def break_() -> None:
        raise ZeroDivisionError("of the handler")

    while not await approved.receive():
        seen += 1
    return f"{name}, after {seen}"


@workflow(raises=(Refused,))
async def failing(how: str) -> None:
    if how == "declared":
        raise Refused("no", 1)
    if how == "builtin":
        raise KeyError("missing")
    raise Unheard("what")


@workflow
async def nudged() -> str:
    await nudge.receive()
    return "nudged"


@workflow
async def sleeping() -> None:
    try:
        await sleep("30 days")
    finally:
        await clean_up()


@activity
async def clean_up() -> None: ...


WORKFLOWS = [waiting, failing, nudged, sleeping]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client.connect("memory:") as connected, Worker(connected, workflows=WORKFLOWS, activities=[clean_up]):
        yield connected


async def test_signals_reach_the_run_in_order(client: Client) -> None:
    """Each is durable on return."""
    handle = await client.start(waiting, id="w")("ada")
    await handle.signal(approved, False)
    await handle.signal("approved", False)
    await client.handle("w").signal(approved, True)
    assert await handle.result(timeout=10) == "ada, after 2"
    received = [each.event.value for each in await handle.history() if isinstance(each.event, SignalReceived)]
    assert [bytes(value) for value in received] == [b"false", b"false", b"true"]


async def test_a_signal_without_a_value(client: Client) -> None:
    """By object and by name."""
    for how in (nudge, "nudge"):
        handle = await client.start(nudged)()
        await handle.signal(how)  # type: ignore[call-overload]
        assert await handle.result(timeout=10) == "nudged"


async def test_a_repeated_signal_is_dropped(client: Client) -> None:
    """Those of one request are one; the same request id at another workflow is another."""
    handle = await client.start(waiting, id="w-1")("ada")
    other = await client.start(waiting, id="w-2")("bo")
    await handle.signal(approved, False, request_id="r-1")
    await other.signal(approved, True, request_id="r-1")
    await handle.query(state)  # by now the first is in the history, and not in the inbox any more
    await handle.signal(approved, False, request_id="r-1")
    await handle.signal(approved, True, request_id="r-2")
    assert await handle.result(timeout=10) == "ada, after 1"
    assert await other.result(timeout=10) == "bo, after 0"


async def test_a_value_that_does_not_fit_is_refused_at_the_call(client: Client) -> None:
    """Nothing is sent."""
    handle = await client.start(waiting)("ada")
    with pytest.raises(EncodeError, match="signal 'approved'"):
        await handle.signal(approved, "yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidCallError, match="takes one value, got 2"):
        await handle.signal("approved", True, False)
    with pytest.raises(InvalidCallError, match="a Signal or its name"):
        await handle.signal(3, True)  # type: ignore[call-overload]
    assert "SignalReceived" not in [type(each.event).__name__ for each in await handle.history()]


async def test_queries_ask_the_code_and_leave_no_trace(client: Client) -> None:
    """Typed by the contract, with arguments, open and closed alike."""
    handle = await client.start(waiting)("ada")
    await handle.signal(approved, False)
    assert await handle.query(state) == {"seen": 1}
    assert await handle.query("state", 7) == {"seen": 7}
    await handle.signal(approved, True)
    await handle.result(timeout=10)
    before = await handle.history()
    assert await client.handle(handle.workflow_id).query(state) == {"seen": 1}
    assert await handle.history() == before


async def test_a_query_that_fails_says_why(client: Client) -> None:
    """With the handler's exception as the cause; an unknown one names those that there are."""
    handle = await client.start(waiting)("ada")
    with pytest.raises(RequestFailedError, match="of the handler") as caught:
        await handle.query("broken")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(RequestFailedError, match="state"):
        await handle.query("unknown")
    with pytest.raises(InvalidCallError, match="a Query or its name"):
        await handle.query(3)  # type: ignore[call-overload]
    with pytest.raises(DecodeError, match="the answer of query 'state'"):
        await handle.query(Query("state", list[int]))


async def test_a_query_that_nobody_answers_says_which_queue() -> None:
    """Since that is what is wrong most of the time."""
    async with Client.connect("memory:") as client:
        handle = await client.start(waiting, queue="lonely")("ada")
        with pytest.raises(RequestTimeoutError, match="task queue 'lonely'"):
            await handle.query(state, timeout="20 ms")


@pytest.mark.parametrize(
    ("how", "cause", "args"),
    [
        ("declared", Refused, ("no", 1)),
        ("builtin", KeyError, ("missing",)),
    ],
)
async def test_a_failed_run_raises_with_its_cause(
    client: Client, how: str, cause: type[Exception], args: tuple[object, ...]
) -> None:
    """Of its own class if that is built in or declared."""
    handle = await client.start(failing, id="f")(how)
    with pytest.raises(RunFailedError, match=f"failing 'f' .*{cause.__name__}") as caught:
        await handle.result(timeout=10)
    assert type(caught.value.__cause__) is cause
    assert caught.value.__cause__.args == args
    assert (caught.value.workflow_id, caught.value.run_id) == ("f", handle.run_id)


async def test_a_cause_of_an_unknown_class_is_described(client: Client) -> None:
    """Classes that a store names are not imported."""
    with pytest.raises(RunFailedError) as caught:
        await client.execute(failing)("unheard")
    assert isinstance(caught.value.__cause__, RemoteError)
    assert caught.value.__cause__.type.endswith("Unheard")
    by_name = client.handle((await client.list())[0].workflow_id)
    with pytest.raises(RunFailedError):
        await by_name.result(timeout=10)


async def test_a_run_can_be_cancelled_and_cleans_up(client: Client) -> None:
    """`CancelledError` is raised at its await; `finally` may await activities."""
    handle = await client.start(sleeping)()
    await handle.cancel("not needed any more")
    with pytest.raises(RunCancelledError, match="not needed any more"):
        await handle.result(timeout=10)
    events = [each.event for each in await handle.history()]
    assert [event.reason for event in events if isinstance(event, CancelRequested)] == ["not needed any more"]
    assert "ActivityCompleted" in [type(event).__name__ for event in events]


async def test_a_run_can_be_terminated(client: Client) -> None:
    """Its code is not asked: nothing is cleaned up."""
    handle = await client.start(sleeping)()
    await handle.terminate("enough")
    with pytest.raises(RunTerminatedError, match="enough"):
        await handle.result(timeout=10)
    events = [each.event for each in await handle.history()]
    assert isinstance(events[-1], RunTerminated)
    assert "ActivityScheduled" not in [type(event).__name__ for event in events]


async def test_a_run_can_time_out(client: Client) -> None:
    """By the limit that it was started with."""
    handle = await client.start(sleeping, run_timeout="30 ms")()
    with pytest.raises(RunTimedOutError, match=r"0\.03 s"):
        await handle.result(timeout=10)


async def test_waiting_has_a_limit_of_its_own(client: Client) -> None:
    """The run goes on."""
    handle = await client.start(waiting, id="w")("ada")
    with pytest.raises(TimeoutError, match="it goes on"):
        await handle.result(timeout="20 ms")
    assert (await handle.describe()).status == "running"


async def test_a_failed_run_can_be_retried() -> None:
    """It goes on at the point of failure, with the code as it is now, under the same run id."""
    broken = True

    @activity(retry=RetryPolicy(max_attempts=1))
    async def fetch() -> str:
        if broken:
            raise OSError("down")
        return "data"

    @workflow
    async def report() -> str:
        return await fetch()

    async with Client.connect("memory:") as client, Worker(client, workflows=[report], activities=[fetch]):
        handle = await client.start(report, id="r")()
        with pytest.raises(RunFailedError) as caught:
            await handle.result(timeout=10)
        assert isinstance(caught.value.__cause__, ActivityError)
        broken = False
        await client.handle("r").retry()
        assert await handle.result(timeout=10) == "data"
        with pytest.raises(RequestFailedError):
            await handle.retry()


async def test_a_description_is_all_that_is_known_without_the_history(client: Client) -> None:
    """With aware times."""
    before = datetime.now(UTC)
    handle = await client.start(waiting, id="w")("ada")
    run = await handle.describe()
    assert (run.workflow_id, run.run_id, run.workflow, run.queue) == ("w", handle.run_id, "waiting", "default")
    assert (run.status, run.closed_at, run.stuck, run.timeout) == ("running", None, None, None)
    assert before.timestamp() - 0.001 <= run.started_at.timestamp() <= datetime.now(UTC).timestamp()
    await handle.signal(approved, True)
    await handle.result(timeout=10)
    closed = await handle.describe()
    assert closed.status == "completed"
    assert closed.closed_at is not None
    assert closed.started_at == run.started_at <= closed.closed_at


async def test_a_handle_by_id_becomes_one_of_the_latest_run(client: Client) -> None:
    """Once it has looked; a handle by run id stays with that run."""
    first = await client.start(waiting, id="w")("ada")
    await first.signal(approved, True)
    await first.result(timeout=10)
    second = await client.start(waiting, id="w")("bo")
    latest = client.handle("w", workflow=waiting)
    assert latest.run_id is None
    await latest.signal(approved, True)
    assert await latest.result(timeout=10) == "bo, after 0"
    assert latest.run_id == second.run_id
    assert await client.handle("w", first.run_id, workflow=waiting).result(timeout=10) == "ada, after 0"


async def test_what_does_not_exist_is_not_found(client: Client) -> None:
    """By every method; the message names the ids and the store."""
    await client.start(waiting, id="w")("ada")
    for handle in (client.handle("nobody"), client.handle("w", "no-such-run"), client.handle("other", "w")):
        for call in (
            handle.result, handle.describe, handle.history, handle.cancel, handle.terminate, handle.retry,
        ):  # fmt: skip
            with pytest.raises(RunNotFoundError, match=r"no run .* in memory:"):
                await call()
        with pytest.raises(RunNotFoundError):
            await handle.signal(nudge)
        with pytest.raises(RunNotFoundError):
            await handle.query(state)


async def test_a_closed_run_takes_no_more_messages(client: Client) -> None:
    """By run id and by workflow id."""
    first = await client.start(waiting, id="w")("ada")
    await first.signal(approved, True)
    await first.result(timeout=10)
    for handle in (first, client.handle("w")):
        with pytest.raises(RunClosedError, match="'w' is closed"):
            await handle.signal(approved, True)
        with pytest.raises(RunClosedError):
            await handle.cancel()
        with pytest.raises(RunClosedError):
            await handle.terminate()


async def test_a_result_of_another_type_is_refused(client: Client) -> None:
    """With the path inside the value."""
    handle = await client.start(waiting, id="w")("ada")
    await handle.signal(approved, True)
    with pytest.raises(DecodeError, match="result of waiting 'w'"):
        await client.handle("w", result_type=dict[str, int]).result(timeout=10)


async def test_lost_answers_do_not_double_a_message() -> None:
    """A signal whose outcome is unknown is sent again under the same request."""
    store = FaultyStore()
    client = Client(store)
    async with Worker(client, workflows=WORKFLOWS, activities=[clean_up]):
        handle = await client.start(waiting)("ada")
        store.lose["send"] = 1
        await handle.signal(approved, False)
        store.refuse["read_last"] = 1
        await handle.signal(approved, True)
        assert await handle.result(timeout=10) == "ada, after 1"


async def test_many_wait_for_one_run(client: Client) -> None:
    """Waiting takes nothing away."""
    handle = await client.start(waiting, id="w")("ada")
    waits = [asyncio.ensure_future(client.handle("w").result(timeout=10)) for _ in range(20)]
    await handle.signal(approved, True)
    assert await asyncio.gather(*waits) == ["ada, after 0"] * 20
