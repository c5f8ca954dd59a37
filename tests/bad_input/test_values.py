"""Row 1 and 2: values that cannot be encoded or are too large, and payloads that do not fit."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from durable import Query, RetryPolicy, Signal, activity, local, proxy, workflow
from durable._limits import PAYLOAD_BYTES_MAX
from durable.errors import (
    ActivityError,
    ChildWorkflowError,
    DefinitionError,
    EncodeError,
    InvalidCallError,
    PayloadTooLargeError,
    RequestFailedError,
    RunFailedError,
)
from durable.testing import assert_replays
from tests.engine.env import Engines, engines


@dataclass
class Order:
    """What is bought."""

    id: str
    cents: int


number = Signal("number", int)
state = Query("state", int)


@activity(retry=RetryPolicy(max_attempts=1))
async def weigh(order: Order) -> int:
    return order.cents


@activity(retry=RetryPolicy(max_attempts=1))
async def returns(what: str) -> Any:
    return object() if what == "odd" else "x" * (PAYLOAD_BYTES_MAX + 1)


@workflow
async def sells(order: Order) -> int:
    return await weigh(order) + await number.receive()


@workflow
async def calls(what: str) -> str:
    value: Any = {"odd": object(), "wrong": Order("o", "free"), "large": Order("x" * PAYLOAD_BYTES_MAX, 1)}[what]  # type: ignore[arg-type]
    try:
        await weigh(value)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "written"


@workflow
async def asks(what: str) -> str:
    try:
        await returns(what)
    except ActivityError as error:
        return str(error)
    return "written"


@workflow
async def gives(what: str) -> Any:
    return object() if what == "odd" else "x" * (PAYLOAD_BYTES_MAX + 1)


async def nothing_written(env: Engines) -> None:
    """Nothing at all is in the store."""
    counts = await env.store.inspect.counts()
    assert not any(count for name, count in counts.items() if name not in ("sessions", "leases"))


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (object(), EncodeError, ["order", "object"]),
        (5, EncodeError, ["order", "got int"]),
        (Order("o", "free"), EncodeError, ["order", "cents", "got str"]),  # type: ignore[arg-type]
        (Order("x" * PAYLOAD_BYTES_MAX, 1), PayloadTooLargeError, ["order", f"{PAYLOAD_BYTES_MAX:,}"]),
    ],
)
async def test_an_argument_of_start_is_refused_at_the_call(value: Any, error: type[Exception], says: list[str]) -> None:
    """Naming the argument, its type or size; nothing is written."""
    async with engines() as env:
        with pytest.raises(error) as caught:
            await env.client.start(sells, id="s")(value)
        for text in says:
            assert text in str(caught.value)
        await nothing_written(env)


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        ("five", EncodeError, ["number", "got str"]),
        (object(), EncodeError, ["number", "object"]),
        (1.5, EncodeError, ["number", "got float"]),
    ],
)
async def test_a_value_of_a_signal_is_refused_at_the_call(value: Any, error: type[Exception], says: list[str]) -> None:
    """The sender knows the contract; nothing reaches the run."""
    async with engines() as env:
        handle = await env.client.start(sells, id="s")(Order("o", 1))
        before = await env.store.inspect.counts()
        with pytest.raises(error) as caught:
            await handle.signal(number, value)
        for text in says:
            assert text in str(caught.value)
        assert await env.store.inspect.counts() == before


async def test_a_signal_over_the_limit_is_refused_at_the_call() -> None:
    """With its size and the limit."""
    text = Signal("text", str)
    async with engines() as env:
        handle = await env.client.start(sells, id="s")(Order("o", 1))
        with pytest.raises(PayloadTooLargeError, match="text") as caught:
            await handle.signal(text, "x" * PAYLOAD_BYTES_MAX)
        assert f"{PAYLOAD_BYTES_MAX:,}" in str(caught.value)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("odd", ["EncodeError", "order", "object"]),
        ("wrong", ["EncodeError", "order", "cents"]),
        ("large", ["PayloadTooLargeError", "order", f"{PAYLOAD_BYTES_MAX:,}"]),
    ],
)
async def test_an_argument_of_an_activity_fails_that_call_only(what: str, says: list[str]) -> None:
    """The workflow may catch it; the process goes on; a replay goes the same way."""
    async with engines() as env:
        await env.begin([calls], [weigh], cache_runs=0)
        handle = await env.client.start(calls, id="c")(what)
        told = await env.drive(handle.result())
        for text in says:
            assert text in told
        assert "ActivityScheduled" not in await env.tags("c")


@pytest.mark.parametrize(("what", "says"), [("odd", "object"), ("large", f"{PAYLOAD_BYTES_MAX:,}")])
async def test_a_result_of_an_activity_fails_that_activity(what: str, says: str) -> None:
    """The error names the activity's result, and is raised where the workflow waits for it."""
    from durable import Worker

    async with engines() as env, Worker(env.client, workflows=[asks], activities=[returns], renew_in_thread=False):
        handle = await env.client.start(asks, id="a")(what)
        told = await env.drive(handle.result())
        assert "result of activity returns" in told
        assert says in told


@pytest.mark.parametrize(("what", "says"), [("odd", "object"), ("large", f"{PAYLOAD_BYTES_MAX:,}")])
async def test_a_result_of_a_workflow_fails_its_run(what: str, says: str) -> None:
    """Its own code returned it. The run fails, the worker goes on."""
    async with engines() as env:
        await env.begin([gives])
        handle = await env.client.start(gives, id="g")(what)
        with pytest.raises(RunFailedError) as caught:
            await env.drive(handle.result())
        assert "result of workflow gives" in str(caught.value)
        assert says in str(caught.value)


async def test_a_local_activitys_argument_fails_that_call_only() -> None:
    """As for one on a queue."""

    @workflow
    async def near() -> str:
        try:
            await local(weigh)(Order("o", "free"))  # type: ignore[arg-type]
        except TypeError as error:
            return str(error)
        return ""

    async with engines() as env:
        await env.begin([near], [weigh], cache_runs=0)
        handle = await env.client.start(near, id="n")()
        assert "cents" in await env.drive(handle.result())


@pytest.mark.parametrize(
    ("args", "path"), [((5,), "order"), (({"id": "o", "cents": "free"},), "cents"), (({"id": "o"},), "cents")]
)
async def test_arguments_that_do_not_fit_make_the_run_stuck_with_the_path(args: tuple[Any, ...], path: str) -> None:
    """The function is not known where the run is started by name. Tried with backoff, never a crash loop."""
    async with engines() as env:
        await env.begin([sells], [weigh])
        await env.client.start("sells", id="s")(*args)
        await env.settle()
        assert await env.status("s") == "running"
        note = await env.stuck("s")
        assert note is not None
        assert note.startswith("DecodeError")
        assert path in note


async def test_a_signal_that_does_not_fit_makes_the_run_stuck_with_the_path() -> None:
    """Sent by name, from where the contract is not known."""
    order = Signal("order", Order)

    @workflow
    async def takes() -> int:
        return (await order.receive()).cents

    async with engines() as env:
        await env.begin([takes])
        handle = await env.client.start(takes, id="t")()
        await handle.signal("order", {"id": "o", "cents": "free"})
        await env.settle()
        note = await env.stuck("t")
        assert note is not None
        assert "signal 'order'" in note
        assert "cents" in note
        assert await env.status("t") == "running"


async def test_an_activitys_result_that_does_not_fit_makes_the_run_stuck() -> None:
    """A worker of another version returned something else."""

    @workflow
    async def expects() -> int:
        result: int = await proxy("returns", returns=int)("odd")
        return result

    @activity(name="returns")
    async def other(what: str) -> str:
        return "five"

    async with engines() as env:
        await env.begin([expects], [other])
        await env.client.start(expects, id="e")()
        await env.settle()
        note = await env.stuck("e")
        assert note is not None
        assert "the result of activity returns" in note


async def test_arguments_of_a_query_that_do_not_fit_are_told_to_the_caller() -> None:
    """The run is not touched."""

    @workflow
    async def answers() -> int:
        @state.handler
        def on_state(plus: int) -> int:
            return plus

        return await number.receive()

    async with engines() as env:
        await env.begin([answers])
        handle = await env.client.start(answers, id="a")()
        for args, says in ((("x",), "plus"), ((), "plus"), ((1, 2), "state")):
            with pytest.raises(Exception, match=says) as caught:
                await env.drive(handle.query(state, *args))
            assert caught.value.__cause__ is not None or isinstance(caught.value, InvalidCallError)
        await handle.signal(number, 4)
        assert await env.drive(handle.result()) == 4


page = Query("page", list[int], args=(int, int))


@workflow
async def pages(largest: int) -> int:
    @page.handler
    def on_page(first: int, count: int = 1) -> list[int]:
        return list(range(first, first + count))

    @Query("text").handler
    def on_text(text: str) -> str:
        return text * 2

    return await number.receive()


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        (("one", 1), EncodeError, "argument 'arg1' of query 'page': expected int, got str"),
        ((1, 1.5), EncodeError, "argument 'arg2' of query 'page': expected int, got float"),
        ((1,), InvalidCallError, "page() cannot be called like this: missing a required argument: 'arg2'"),
        ((1, 2, 3), InvalidCallError, "page() cannot be called like this: too many positional arguments"),
    ],
)
async def test_arguments_of_a_query_that_declares_them_are_refused_at_the_call(
    args: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    """With the type that is expected; nothing is sent, and no worker is needed to say so."""
    async with engines() as env:
        handle = await env.client.start(pages, id="p")(9)
        await env.settle()
        before = await env.store.inspect.counts()
        with pytest.raises(error, match=re.escape(says)):
            await handle.query(page, *args)
        assert await env.store.inspect.counts() == before
        await env.begin([pages])
        assert await env.drive(handle.query(page, 3, 2)) == [3, 4]


async def test_a_handler_takes_what_its_query_declares() -> None:
    """Found out where it is registered, before anybody asks."""

    @workflow
    async def wrong() -> None:
        @page.handler
        def on_page(first: int) -> list[int]:
            return [first]

    with pytest.raises(DefinitionError, match="a tuple, got <class 'int'>"):
        Query("page", list[int], args=int)  # type: ignore[arg-type]
    async with engines() as env:
        await env.begin([wrong])
        handle = await env.client.start(wrong, id="w")()
        with pytest.raises(RunFailedError, match="does not take the 2 arguments of query 'page'"):
            await env.drive(handle.result())


async def test_a_query_over_the_limit_is_refused_on_either_way() -> None:
    """The question at the call; the answer where it was made, and whoever asked is told. The run goes on."""
    async with engines() as env:
        await env.begin([pages])
        handle = await env.client.start(pages, id="p")(9)
        await env.settle()
        before = await env.store.inspect.counts()
        with pytest.raises(PayloadTooLargeError, match=r"arguments of query 'text'.* most of it argument"):
            await handle.query("text", "x" * PAYLOAD_BYTES_MAX)
        assert await env.store.inspect.counts() == before
        with pytest.raises(RequestFailedError, match="the answer of query 'text'") as failed:
            await env.drive(handle.query("text", "x" * (PAYLOAD_BYTES_MAX - 100)))
        assert isinstance(failed.value.__cause__, PayloadTooLargeError)
        assert f"{PAYLOAD_BYTES_MAX:,}" in str(failed.value)
        await handle.signal(number, 4)
        assert await env.drive(handle.result()) == 4


@pytest.mark.parametrize(("what", "says"), [("odd", "object"), ("large", f"{PAYLOAD_BYTES_MAX:,}")])
async def test_a_result_of_a_child_fails_that_child(what: str, says: str) -> None:
    """The parent learns of it as of any failure of its child."""

    @workflow
    async def parent() -> str:
        try:
            await gives(what)
        except ChildWorkflowError as error:
            return str(error.__cause__)
        return ""

    async with engines() as env:
        await env.begin([parent, gives], cache_runs=0)
        handle = await env.client.start(parent, id="p")()
        told = await env.drive(handle.result())
        assert "result of workflow gives" in told
        assert says in told
        assert_replays(parent, await handle.history())
