"""Activities that are completed from outside, by whoever has their token."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable import (
    Client,
    RetryPolicy,
    Worker,
    activity,
    activity_info,
    complete_later,
    heartbeat,
    local,
    proxy,
    workflow,
)
from durable._log import AttemptToken, write_token
from durable.errors import (
    ActivityError,
    ActivityTimeoutError,
    AttemptCancelledError,
    AttemptOverError,
    EncodeError,
    InvalidCallError,
    InvalidTokenError,
    RunNotFoundError,
    RunTerminatedError,
)
from tests.scenario_store import STORES, scenario_url
from tests.worker.cpu import defer_in_process
from tests.worker.harness import until_event

AT_ONCE = RetryPolicy(max_attempts=3, initial_interval=0.001, maximum_interval=0.001)


class Refused(Exception):
    """Declared by `approve`."""


tokens: asyncio.Queue[str]


@activity(retry=AT_ONCE, raises=[Refused])
async def approve(amount: int) -> str:
    details = activity_info().details()
    if details is not None:
        heartbeat({"before": details})
    tokens.put_nowait(activity_info().token)
    return complete_later()


@activity
def approve_in_thread(amount: int) -> str:
    loop.call_soon_threadsafe(tokens.put_nowait, activity_info().token)
    return complete_later()


@workflow
async def purchase(amount: int) -> str:
    try:
        return f"approved by {await approve(amount)}"
    except Refused as error:
        return f"refused: {error}"
    except ActivityTimeoutError as error:
        return f"out of time: {error.kind}"
    except ActivityError as error:
        return f"failed at attempt {error.attempt}: {error.__cause__}"


@workflow
async def in_thread(amount: int) -> str:
    return await proxy(approve_in_thread)(amount)


@workflow
async def patient(amount: int) -> str:
    try:
        return await proxy(approve, cancellation="wait", heartbeat_timeout="1 hour")(amount)
    except asyncio.CancelledError:
        return "stopped"


loop: asyncio.AbstractEventLoop


@pytest.fixture(params=STORES)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    global tokens, loop
    tokens, loop = asyncio.Queue(), asyncio.get_running_loop()
    workflows, activities = [purchase, in_thread, patient], [approve, approve_in_thread]
    async with (
        Client.connect(scenario_url(request.param)) as made,
        Worker(made, workflows=workflows, activities=activities, max_concurrent_activities=1),
    ):
        yield made


async def test_whoever_has_the_token_completes_it(client: Client) -> None:
    """The slot of its worker is free meanwhile: a second one begins although there is one slot only."""
    first, second = await client.start(purchase, id="p-1")(1), await client.start(purchase, id="p-2")(2)
    given = [client.activity(await tokens.get()), client.activity(await tokens.get(), activity=approve)]
    assert sorted(handle.workflow_id for handle in given) == ["p-1", "p-2"]
    for handle in given:
        await handle.complete(f"a person, for {handle.workflow_id}")
    assert await first.result(timeout=10) == "approved by a person, for p-1"
    assert await second.result(timeout=10) == "approved by a person, for p-2"
    assert (await client.store.inspect.counts())["tasks"] == 0


async def test_a_thread_may_defer_too(client: Client) -> None:
    """`complete_later` is what a plain function returns as well."""
    handle = await client.start(in_thread)(1)
    await client.activity(await tokens.get(), activity=approve_in_thread).complete("yes")
    assert await handle.result(timeout=10) == "yes"


async def test_a_repeat_returns_as_the_first_did(client: Client) -> None:
    """With the same outcome; another one is refused, and so is one that comes after the end of the run."""
    handle = await client.start(purchase)(1)
    given = client.activity(await tokens.get())
    await given.complete("ada")
    await handle.result(timeout=10)
    await given.complete("ada")
    with pytest.raises(AttemptOverError, match=r"attempt 1 of activity #1 .* the activity has completed, at attempt 1"):
        await given.complete("bob")
    with pytest.raises(AttemptOverError):
        await given.fail("no")
    with pytest.raises(AttemptOverError):
        await given.heartbeat()


async def test_a_failure_is_retried_with_a_token_of_its_own(client: Client) -> None:
    """The next attempt reads what was said; the token of the last one is of no use any more."""
    handle = await client.start(purchase)(1)
    first = client.activity(await tokens.get())
    await first.heartbeat({"page": 3})
    await first.fail(ValueError("lost the file"))
    second = client.activity(await tokens.get())
    assert (first.attempt, second.attempt) == (1, 2)
    await first.fail(ValueError("lost the file"))
    with pytest.raises(AttemptOverError, match="attempt 2 has followed"):
        await first.complete("late")
    await second.complete("ada")
    assert await handle.result(timeout=10) == "approved by ada"


async def test_a_text_is_a_failure_and_the_policy_counts_the_attempts(client: Client) -> None:
    """After the last one the workflow gets `ActivityError` with its cause."""
    handle = await client.start(purchase)(1)
    for number in (1, 2, 3):
        await client.activity(await tokens.get()).fail(f"no {number}")
    assert await handle.result(timeout=10) == "failed at attempt 3: no 3"


async def test_a_declared_error_is_raised_as_itself(client: Client) -> None:
    """With the activity given, the client knows what it declares."""
    handle = await client.start(purchase)(1)
    await client.activity(await tokens.get(), activity=approve).fail(Refused("too much"))
    assert await handle.result(timeout=10) == "refused: too much"


async def test_the_result_is_checked_where_its_type_is_known(client: Client) -> None:
    """At the caller if the activity is given; else it fails the attempt, and never the run's worker."""
    handle = await client.start(purchase)(1)
    token = await tokens.get()
    with pytest.raises(EncodeError, match="str"):
        await client.activity(token, activity=approve).complete(5)  # type: ignore[arg-type]
    await client.activity(token).complete(5)
    assert (await handle.result(timeout=10)).startswith("failed at attempt 1")


async def test_a_cancellation_is_told_by_the_heartbeat(client: Client) -> None:
    """The run waits until the holder of the token says that it has stopped."""
    handle = await client.start(patient, id="p")(1)
    given = client.activity(await tokens.get())
    await given.heartbeat()
    await handle.cancel()
    await until_event(client, "p", "ActivityCancelRequested")
    with pytest.raises(AttemptCancelledError, match="was cancelled: stop, and say so"):
        await given.heartbeat()
    assert (await handle.describe()).status == "running"
    await given.cancel()
    assert await handle.result(timeout=10) == "stopped"
    await given.cancel()


async def test_one_that_was_given_up_takes_no_more_reports(client: Client) -> None:
    """The workflow does not wait for it."""
    handle = await client.start(purchase)(1)
    given = client.activity(await tokens.get())
    await handle.cancel(wait=True, timeout=10)
    with pytest.raises(AttemptOverError, match="the workflow has given the activity up"):
        await given.heartbeat()


async def test_a_terminated_run_takes_no_more_reports(client: Client) -> None:
    """The error says so."""
    handle = await client.start(purchase)(1)
    given = client.activity(await tokens.get())
    await handle.terminate()
    with pytest.raises(RunTerminatedError):
        await handle.result(timeout=10)
    with pytest.raises(AttemptOverError, match="its run is terminated"):
        await given.complete("ada")


async def test_a_bad_token_is_refused_with_its_text(client: Client) -> None:
    """One that is no token, one that was cut, one of another activity, one of another store."""
    await client.start(purchase)(1)
    token = await tokens.get()
    with pytest.raises(InvalidTokenError, match=r"which begins with 'at1\.', got 'nonsense'"):
        client.activity("nonsense")
    with pytest.raises(InvalidTokenError, match="is damaged: was it copied as a whole"):
        client.activity(token[:-3])
    with pytest.raises(InvalidTokenError, match="expected the token"):
        client.activity(5)  # type: ignore[call-overload]
    with pytest.raises(InvalidTokenError, match="of activity 'approve', and not of 'approve_in_thread'"):
        await client.activity(token, activity=approve_in_thread).complete("x")
    with pytest.raises(RunNotFoundError):
        await client.activity(write_token(AttemptToken("elsewhere", "run", 1, 1))).complete("x")
    with pytest.raises(TypeError, match="expected an exception or a text, got 5"):
        await client.activity(token).fail(5)  # type: ignore[arg-type]


async def test_a_process_may_defer_too(tmp_path: Path) -> None:
    """Its child says so to the worker."""

    @workflow
    async def run_it() -> str:
        return await proxy(defer_in_process)(tmp_path / "token")

    async with Client.connect("memory:") as client, Worker(client, workflows=[run_it], activities=[defer_in_process]):
        handle = await client.start(run_it, id="p")()
        await until_event(client, "p", "ActivityDeferred")
        token = (tmp_path / "token").read_text()
        await client.activity(token, activity=defer_in_process).complete("yes")
        assert await handle.result(timeout=10) == "yes"


async def test_a_result_that_comes_before_the_worker_has_returned_counts() -> None:
    """What the worker does then is told to stop, and what it says is dropped."""
    handed, told = asyncio.Queue[str](), asyncio.Event()

    @activity
    async def hasty() -> str:
        handed.put_nowait(activity_info().token)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            told.set()
        return complete_later()

    @workflow
    async def run_it() -> str:
        return await hasty()

    async with Client.connect("memory:") as client, Worker(client, workflows=[run_it], activities=[hasty]):
        handle = await client.start(run_it)()
        await client.activity(await handed.get()).complete("quick")
        assert await handle.result(timeout=10) == "quick"
        await told.wait()


async def test_a_local_activity_cannot_be_completed_later() -> None:
    """It ends within the step that called it, and says what to do instead."""

    @activity(name="approve", retry=RetryPolicy(max_attempts=1))
    async def here() -> str:
        return complete_later()

    @workflow
    async def run_it() -> str:
        try:
            return str(await local(here)())
        except ActivityError as error:
            return str(error.__cause__)

    async with Client.connect("memory:") as client, Worker(client, workflows=[run_it], activities=[here]):
        assert "call it without `local`" in await client.execute(run_it)()


async def test_a_call_outside_of_a_worker_gives_what_the_function_returns() -> None:
    """An activity can be tested as the function it is; workflow code cannot ask for it."""

    @activity
    async def plainly() -> Any:
        return complete_later()

    assert repr(await plainly()) == "complete_later()"
    with pytest.raises(InvalidCallError, match="activity_info works only in an activity"):
        activity_info()


@asynccontextmanager
async def token_holder(url: str) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Run another process that is told what to do with which token; give what tells it, and returns how it went."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("token_holder.py")), url, stdin=PIPE, stdout=PIPE
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    async def tell(*call: Any) -> str:
        stdin.write(json.dumps(call).encode() + b"\n")
        return (await stdout.readline()).decode().strip()

    try:
        yield tell
    finally:
        stdin.close()
        assert await process.wait() == 0


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_another_process_needs_the_token_only(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It knows neither the workflow nor the activity: it completes, fails, keeps alive, and is told of a cancellation."""
    global tokens
    tokens = asyncio.Queue()
    url = request.getfixturevalue("redis_url") if store == "redis" else f"sqlite:///{tmp_path}/store.db"
    async with (
        Client.connect(url) as client,
        Worker(client, workflows=[purchase, patient], activities=[approve]),
        token_holder(url) as tell,
    ):
        completed = await client.start(purchase, id="completed")(1)
        assert await tell("complete", await tokens.get(), "another process") == "done"
        assert await completed.result(timeout=10) == "approved by another process"

        failed = await client.start(purchase, id="failed")(1)
        assert await tell("fail", await tokens.get(), "no, says another process") == "done"
        second = await tokens.get()
        assert await tell("heartbeat", second, {"page": 3}) == "done"
        assert await tell("fail", second, "no again") == "done"
        third = await tokens.get()
        assert await tell("complete", second, "late") == "AttemptOverError"
        assert await tell("complete", third, "at last") == "done"
        assert await failed.result(timeout=10) == "approved by at last"

        cancelled = await client.start(patient, id="cancelled")(1)
        token = await tokens.get()
        assert await tell("heartbeat", token) == "done"
        await cancelled.cancel()
        await until_event(client, "cancelled", "ActivityCancelRequested")
        assert await tell("heartbeat", token) == "AttemptCancelledError"
        assert await tell("cancel", token) == "done"
        assert await cancelled.result(timeout=10) == "stopped"
        assert await tell("complete", "nonsense", 1) == "InvalidTokenError"
        assert (await client.store.inspect.counts())["tasks"] == 0
