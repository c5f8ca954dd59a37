"""Updates from outside: sent, accepted or rejected, waited for and found again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from durable import Client, Query, Signal, Update, Worker, activity, workflow
from durable.errors import (
    EncodeError,
    InvalidCallError,
    InvalidIdError,
    PayloadTooLargeError,
    RequestFailedError,
    RequestTimeoutError,
    RunCancelledError,
    RunClosedError,
    RunFailedError,
    RunNotFoundError,
    RunTerminatedError,
    UpdateRejectedError,
)
from durable.history import UpdateAccepted, UpdateCompleted
from durable.testing import TestEnvironment
from tests.scenario_store import STORES, scenario_url


class Refused(Exception):
    """Declared by `strict`."""


add = Update("add", int, int)
strict = Update("strict", int, int, raises=[Refused])
slow = Update("slow", int, int)
late = Update("late", int, int)
reset = Update("reset")
stop = Signal("stop", str)
register = Signal("register")
total = Query("total", int)


@activity
async def price(n: int) -> int:
    return n * 10


@workflow
async def account(start: int = 0) -> int:
    state = start
    release = asyncio.Event()

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
        state += await price(n)
        return state

    @strict.validator
    def check_strict(n: int) -> None:
        if n < 0:
            raise Refused("negative")

    @strict.handler
    def on_strict(n: int) -> int:
        if n > 100:
            raise Refused("too much", n)
        raise KeyError(n)

    @slow.handler(concurrent=True, unfinished="abandon")
    async def on_slow(n: int) -> int:
        await release.wait()
        return n

    @reset.handler
    def on_reset() -> str:
        nonlocal state
        state = 0
        return "done"

    async def later() -> None:
        await register.receive()

        @late.handler
        def on_late(n: int) -> int:
            return -n

    waiting = asyncio.create_task(later())
    how = await stop.receive()
    waiting.cancel()
    if how == "fail":
        raise ValueError("broken")
    if how == "release":
        release.set()
        await stop.receive()
    return state


say = Update("say", str, str)


@workflow
async def talker() -> None:
    @say.handler
    def on_say(text: str) -> str:
        return text if text != "much" else "x" * 20_000_000

    await stop.receive()


@workflow
async def another() -> None: ...


@pytest.fixture(params=STORES)
async def env(request: pytest.FixtureRequest) -> AsyncIterator[TestEnvironment]:
    url = scenario_url(request.param)
    async with TestEnvironment(workflows=[account, talker], activities=[price], store=url) as made:
        yield made


async def test_an_update_returns_what_its_handler_returns(env: TestEnvironment) -> None:
    """By object and by name, typed by the contract; without a value as well."""
    handle = await env.client.start(account, id="a")()
    assert await handle.update(add, 2) == 20
    assert await env.client.handle("a").update("add", 3) == 50
    assert await handle.update(reset) == "done"
    assert await handle.query(total) == 0


async def test_start_update_returns_when_it_is_accepted(env: TestEnvironment) -> None:
    """The result comes later; the handle says which update and which run."""
    handle = await env.client.start(account)()
    started = await handle.start_update(slow, 4, update_id="u-1")
    assert (started.id, started.run.run_id) == ("u-1", handle.run_id)
    with pytest.raises(RequestTimeoutError, match=r"update 'slow' \(u-1\) .* was not completed within 1 s; it goes on"):
        await started.result(timeout=1)
    await handle.signal(stop, "release")
    assert await started.result(timeout=5) == 4
    done = await handle.start_update(add, 1, wait="completed", timeout=5)
    assert await done.result(timeout=1) == 10


async def test_several_wait_for_one_update(env: TestEnvironment) -> None:
    """All get its result, whoever sent it."""
    handle = await env.client.start(account, id="a")()
    await handle.start_update(slow, 4, update_id="u-1")
    waiting = [asyncio.create_task(env.client.handle("a").update_handle("u-1", slow).result()) for _ in range(3)]
    await handle.signal(stop, "release")
    assert await asyncio.gather(*waiting) == [4, 4, 4]


async def test_an_update_is_found_by_its_id(env: TestEnvironment) -> None:
    """By whoever knows the run and the id; also after the run has closed."""
    handle = await env.client.start(account, id="a")()
    await handle.update(add, 2, update_id="u-1")
    assert await env.client.handle("a").update_handle("u-1", add).result() == 20
    await handle.signal(stop, "end")
    assert await handle.result() == 20
    assert await env.client.handle("a").update_handle("u-1").result() == 20
    with pytest.raises(RequestFailedError, match=r"ended as completed before the update .* was ever accepted"):
        await handle.update_handle("u-2", add).result()


async def test_a_repeat_is_the_same_update(env: TestEnvironment) -> None:
    """Carried out once; also one that comes after the run has closed gets the first one's result."""
    handle = await env.client.start(account)()
    assert await handle.update(add, 2, update_id="u-1") == 20
    assert await handle.update(add, 2, update_id="u-1") == 20
    await handle.signal(stop, "end")
    assert await handle.result() == 20
    assert await handle.update(add, 2, update_id="u-1") == 20
    with pytest.raises(RunClosedError):
        await handle.update(add, 2, update_id="u-2")


async def test_a_rejected_update_leaves_no_trace(env: TestEnvironment) -> None:
    """Its reason is the cause."""
    handle = await env.client.start(account)()
    await handle.query(total)
    before = await handle.history()
    with pytest.raises(UpdateRejectedError, match="was not accepted: ValueError: negative: -1") as caught:
        await handle.update(add, -1)
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(Refused, match="negative"):
        await handle.update(strict, -1)
    with pytest.raises(UpdateRejectedError, match="expected int, got str"):
        await handle.update("add", "x")
    assert await handle.history() == before


async def test_what_a_handler_raises_reaches_its_caller(env: TestEnvironment) -> None:
    """A declared error as itself, another one as the cause; the run goes on."""
    handle = await env.client.start(account)()
    with pytest.raises(RequestFailedError, match=r"update 'strict' of .* failed: KeyError: 1") as caught:
        await handle.update(strict, 1)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not isinstance(caught.value, UpdateRejectedError)
    with pytest.raises(Refused) as refused:
        await handle.update(strict, 101)
    assert refused.value.args == ("too much", 101)
    assert await handle.update(add, 1) == 10


async def test_a_value_of_the_wrong_type_is_refused_at_the_call(env: TestEnvironment) -> None:
    """Nothing is sent."""
    handle = await env.client.start(account)()
    with pytest.raises(EncodeError, match="the value of update 'add': expected int, got str"):
        await handle.update(add, "2")  # type: ignore[arg-type]
    with pytest.raises(InvalidCallError, match="takes one value, got 2"):
        await handle.update("add", 1, 2)
    with pytest.raises(InvalidCallError, match="expected an Update or its name, got 3"):
        await handle.update(3, 1)  # type: ignore[call-overload]
    with pytest.raises(InvalidIdError, match="update id"):
        await handle.update(add, 1, update_id="")
    with pytest.raises(ValueError, match="expected 'accepted' or 'completed', got 'done'"):
        await handle.start_update(add, 1, wait="done")  # type: ignore[call-overload]
    with pytest.raises(RunNotFoundError):
        await env.client.handle("nobody").update(add, 1)
    assert not any(isinstance(each.event, UpdateAccepted) for each in await handle.history())


async def test_an_update_waits_for_its_handler(env: TestEnvironment) -> None:
    """It is accepted as soon as the workflow has registered it."""
    handle = await env.client.start(account)()
    waiting = asyncio.create_task(handle.update(late, 4, timeout="1 hour"))
    assert await handle.update(add, 1) == 10, "it holds up nothing"
    await handle.signal(register)
    assert await waiting == -4


async def test_an_update_whose_handler_never_comes_is_explained(env: TestEnvironment) -> None:
    """After the timeout, and when the run closes: with the names that there are."""
    handle = await env.client.start(account)()
    with pytest.raises(RequestTimeoutError, match=r"no handler for it yet; it has: add, reset, slow, strict"):
        await handle.update(late, 4, timeout=2)
    waiting = asyncio.create_task(handle.start_update("other", 1, timeout="1 hour"))
    await handle.query(total)
    await handle.signal(stop, "end")
    with pytest.raises(
        UpdateRejectedError, match="ended as completed and never had a handler for update 'other'; it had: add"
    ):
        await waiting
    assert await handle.result() == 0, "what is held does not keep a run from closing"


@pytest.mark.parametrize(
    ("how", "status", "cause"),
    [
        ("fail", "failed", RunFailedError),
        ("terminate", "terminated", RunTerminatedError),
        ("cancel", "cancelled", RunCancelledError),
    ],
)
async def test_a_run_that_closes_first_is_an_error(
    env: TestEnvironment, how: str, status: str, cause: type[Exception]
) -> None:
    """Never a hang. A terminated run says so; one whose code ended answers for the handlers that it cancelled."""
    handle = await env.client.start(account)()
    started = await handle.start_update(slow, 1)
    waiting = asyncio.create_task(started.result())
    if how == "terminate":
        await handle.terminate()
    elif how == "cancel":
        await handle.cancel()
    else:
        await handle.signal(stop, how)
    with pytest.raises(RequestFailedError) as caught:
        await waiting
    if how == "terminate":
        assert f"ended as {status} before the update 'slow'" in str(caught.value)
        assert isinstance(caught.value.__cause__, cause)
    else:
        assert "the handler of update 'slow' was cancelled" in str(caught.value)
    with pytest.raises(cause):
        await handle.result()


async def test_an_abandoned_update_is_answered(env: TestEnvironment) -> None:
    """The run does not wait for it, and its caller does not wait for ever."""
    handle = await env.client.start(account)()
    started = await handle.start_update(slow, 1)
    await handle.signal(stop, "end")
    with pytest.raises(RequestFailedError, match="the handler of update 'slow' was cancelled"):
        await started.result()
    assert await handle.result() == 0


async def test_nobody_there_is_an_error_that_says_so() -> None:
    """The update stays in the inbox, and is carried out when a worker comes; the same id finds it."""
    async with Client.connect("memory:") as client:
        handle = await client.start(account)()
        with pytest.raises(
            RequestTimeoutError,
            match="no worker answers; is one running for workflow 'account' on task queue 'default'",
        ):
            await handle.update(add, 2, update_id="u-1", timeout=0.2)
        async with Worker(client, workflows=[account], activities=[price]):
            assert await handle.update(add, 2, update_id="u-1", timeout=10) == 20
            assert await handle.query(total) == 20


async def test_a_stuck_run_is_an_error_that_says_so() -> None:
    """With what it is stuck at."""
    async with Client.connect("memory:") as client, Worker(client, workflows=[another]):
        handle = await client.start(account)()
        with pytest.raises(RequestTimeoutError, match="the run is stuck: UnknownWorkflowError"):
            await handle.update(add, 2, timeout=1)


async def test_start_with_update_starts_or_uses_the_open_run(env: TestEnvironment) -> None:
    """One call, for the first and for every other customer of a run."""
    started = await env.client.start_with_update(account, add, 2, id="a")(5)
    assert await started.result() == 25
    again = await env.client.start_with_update(account, add, 1, id="a", wait="completed")(5)
    assert await again.result() == 35
    assert again.run.run_id == started.run.run_id
    assert await env.client.start_with_update("account", reset, id="a")(5) is not None


async def test_start_with_update_may_be_repeated(env: TestEnvironment) -> None:
    """The same update id: carried out once, in one run, also after that has closed."""

    async def call() -> int:
        started = await env.client.start_with_update(account, add, 2, id="a", update_id="u-1")(5)
        return await started.result()

    assert [await call(), await call()] == [25, 25]
    handle = env.client.handle("a")
    await handle.signal(stop, "end")
    await handle.result()
    assert await call() == 25
    assert (await env.client.count())["completed"] == 1
    assert "running" not in await env.client.count()


async def test_start_with_update_checks_before_it_writes(env: TestEnvironment) -> None:
    """A bad value starts no run; a rejected update leaves the run that was started."""
    with pytest.raises(EncodeError, match="update 'add'"):
        env.client.start_with_update(account, add, "x", id="a")  # type: ignore[arg-type]
    with pytest.raises(InvalidCallError, match="id is missing"):
        env.client.start_with_update(account, add, 1)  # type: ignore[call-overload]
    assert await env.client.count() == {}
    with pytest.raises(UpdateRejectedError, match="negative"):
        await env.client.start_with_update(account, add, -1, id="a")(0)
    assert await env.client.count() == {"running": 1}


async def test_the_history_tells_of_an_update(env: TestEnvironment) -> None:
    """Accepted and completed, under one id."""
    handle = await env.client.start(account)()
    await handle.update(add, 2, update_id="u-1")
    events = [each.event for each in await handle.history()]
    accepted = next(event for event in events if isinstance(event, UpdateAccepted))
    completed = next(event for event in events if isinstance(event, UpdateCompleted))
    assert (accepted.update, accepted.name, completed.update) == ("u-1", "add", "u-1")


async def test_what_is_too_large_is_refused_where_it_is_made(env: TestEnvironment) -> None:
    """A value at the call, with nothing sent; a result is its handler's failure."""
    handle = await env.client.start(talker)()
    with pytest.raises(PayloadTooLargeError, match="the value of update 'say'"):
        await handle.update(say, "x" * 20_000_000)
    with pytest.raises(RequestFailedError, match="the result of update 'say'"):
        await handle.update(say, "much")
    assert await handle.update(say, "hi") == "hi"
