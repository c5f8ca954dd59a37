"""What a child begins with beside its arguments: attributes, a memo, the time limit of its chain."""

from datetime import UTC, datetime
from typing import Any

import pytest

from durable import _limits
from durable.author import Attribute, Signal, continue_as_new, info, proxy, sleep, start_child, workflow
from durable.errors import (
    ChildWorkflowError,
    DefinitionError,
    EncodeError,
    InvalidCallError,
    PayloadTooLargeError,
    RunTimedOutError,
)
from durable.history import WIRE, ChildStartRequested, to_raw
from durable.testing import replay
from tests.engine.env import Engines, engines
from tests.engine.harness import payload
from tests.scenario_store import LOCAL, scenario_url

customer = Attribute("customer", str)
due = Attribute("due", datetime)
go = Signal("go")
WHEN = datetime(2030, 1, 2, tzinfo=UTC)


@workflow
async def child() -> list[str]:
    await go.receive()
    return [info().attributes[customer], info().memo["note"]]


@workflow
async def parent() -> list[str]:
    started = await start_child(child, id="kid", attributes={customer: "ada", due: WHEN}, memo={"note": "by hand"})()
    return await started


async def started_kid(env: Engines) -> Any:
    """Start a parent, and return its handle once its child waits."""
    await env.begin([parent, child])
    handle = await env.client.start(parent, id="p")()
    await env.settle()
    return handle


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("store", LOCAL)
async def test_a_child_begins_with_attributes_and_a_memo(store: str, partitions: int) -> None:
    """They are in its record, where it is found by them, in its parent's history, and in its own code."""
    async with engines(scenario_url(store), partitions=partitions) as env:
        handle = await started_kid(env)
        found = await env.until(lambda: env.client.list(attributes={customer: "ada"}))
        assert [run.workflow_id for run in found] == ["kid"]
        described = await env.client.handle("kid").describe()
        assert (described.attributes[due], described.memo["note"]) == (WHEN, "by hand")
        await env.client.handle("kid").signal(go)
        assert await env.drive(handle.result()) == ["ada", "by hand"]
        history = await handle.history()
        assert replay(parent, history).ok
        (asked,) = [item.event for item in history if isinstance(item.event, ChildStartRequested)]
        assert asked.attributes["customer"] == "ada"


async def test_a_new_owner_starts_the_child_with_them() -> None:
    """The parent's worker died before the child existed: what the outbox has is enough."""
    async with engines() as env:
        first = await env.begin([parent, child])
        handle = await env.client.start(parent, id="p")()
        await env.settle()
        await env.kill(first)
        await env.begin([parent, child])
        await env.client.handle("kid").signal(go)
        assert await env.drive(handle.result()) == ["ada", "by hand"]


async def test_a_child_awaited_by_proxy_has_them_too() -> None:
    """The same options."""

    @workflow
    async def awaits() -> list[str]:
        return await proxy(child, id="kid", attributes={customer: "bob"}, memo={"note": "x"})()

    async with engines() as env:
        await env.begin([awaits, child])
        handle = await env.client.start(awaits, id="p", attributes={customer: "the parent's own"})()
        await env.settle()
        await env.client.handle("kid").signal(go)
        assert await env.drive(handle.result()) == ["bob", "x"]


async def test_a_child_inherits_neither() -> None:
    """What its parent has is its parent's."""

    @workflow
    async def bare() -> int:
        return len(info().attributes) + len(info().memo)

    @workflow
    async def starts() -> int:
        return await bare()

    async with engines() as env:
        await env.begin([starts, bare])
        handle = await env.client.start(starts, id="p", attributes={customer: "ada"}, memo={"note": 1})()
        assert await env.drive(handle.result()) == 0


async def test_the_execution_timeout_ends_the_whole_chain_of_a_child() -> None:
    """Each of its runs is short; together they are not."""

    @workflow
    async def goes_on() -> None:
        await sleep(50)
        continue_as_new()

    @workflow
    async def waits() -> str:
        try:
            await proxy(goes_on, id="kid", execution_timeout=120)()
        except ChildWorkflowError as error:
            assert isinstance(error.__cause__, RunTimedOutError)
            return error.__cause__.kind
        return ""

    async with engines() as env:
        await env.begin([waits, goes_on])
        handle = await env.client.start(waits, id="p")()
        for _ in range(4):
            await env.advance(40)
        assert await env.drive(handle.result()) == "execution"


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"attributes": {"customer": "ada"}}, InvalidCallError, "expected Attribute"),
        ({"attributes": 3}, InvalidCallError, "got 3"),
        ({"attributes": {customer: "x" * 100_000}}, (PayloadTooLargeError, InvalidCallError), "customer"),
        ({"execution_timeout": -1}, ValueError, "execution_timeout"),
    ],
)
def test_options_that_are_wrong_are_refused_at_once(options: dict[str, Any], error: Any, told: str) -> None:
    """Before anything is called."""
    for make in (start_child, proxy):
        with pytest.raises(error, match=told):
            make(child, **options)


def test_an_activitys_name_has_no_such_option() -> None:
    """They are of children."""
    options: dict[str, Any] = {"memo": {"note": 1}}
    with pytest.raises(DefinitionError, match="memo"):
        proxy("charge", **options)


async def test_a_memo_that_does_not_fit_is_refused_at_the_call() -> None:
    """Nothing is recorded; on replay it fails the same."""

    @workflow
    async def tries() -> list[str]:
        told: list[str] = []
        bad: list[Any] = [{"note": object()}, {"note": "x" * (_limits.MEMO_BYTES_MAX + 1)}, ["note"]]
        for memo in bad:
            try:
                await start_child(child, memo=memo)()
            except (EncodeError, PayloadTooLargeError, InvalidCallError) as error:
                told.append(type(error).__name__)
        await sleep(1)
        return told

    async with engines() as env:
        await env.begin([tries])
        handle = await env.client.start(tries, id="p")()
        assert await env.drive(handle.result()) == ["EncodeError", "PayloadTooLargeError", "InvalidCallError"]
        assert "ChildStartRequested" not in await env.tags("p")
        assert replay(tries, await handle.history()).ok


def test_a_start_without_them_is_recorded_as_before() -> None:
    """Old records have none of these fields, and none is written where nothing was given."""
    event = ChildStartRequested(at=1, id=1, workflow="w", workflow_id="k", queue="default", args=to_raw(payload(1)))
    record = WIRE.encode(event)
    assert not any(name in record for name in (b"attributes", b"memo", b"execution_timeout_ms"))
    assert WIRE.decode(record) == event
