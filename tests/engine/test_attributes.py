"""Attributes and memo: what the code sees, what its history has, and what reaches its record."""

from datetime import UTC, datetime
from typing import Any

import pytest

from durable import _limits
from durable._engine.execution import Execution
from durable._log import StartRun
from durable.author import Attribute, Query, Signal, activity, info, sleep, upsert_attributes, workflow
from durable.codec import default_codec
from durable.errors import InvalidCallError, NonDeterminismError, PayloadTooLargeError
from durable.history import AttributesUpserted, to_raw
from tests.engine.env import engines
from tests.engine.harness import START_MS, SteppedRun, replayed_execution

customer = Attribute("customer", str)
total = Attribute("total", int)
due = Attribute("due", datetime)
tags = Attribute("tags", list[str])
paid = Attribute("paid", bool)
weight = Attribute("weight", float)
go = Signal("go")


def started(workflow: Any, **fields: Any) -> SteppedRun:
    """A run that is started with these fields of its `StartRun`."""
    run = SteppedRun(workflow)
    given = {name: getattr(run.start_message, name) for name in StartRun.__struct_fields__}
    run.start_message = StartRun(**{**given, **fields})
    run.execution.attributes = run.start_message.attributes
    return run.start()


def test_the_code_sees_what_it_has_set() -> None:
    """At once, with the types of the keys; and what the start gave."""
    seen: list[Any] = []
    when = datetime(2026, 1, 31, 12, 30, 0, 5, tzinfo=UTC)

    @workflow
    async def sets() -> None:
        seen.append(dict(info().attributes))
        upsert_attributes({total: 7, due: when, tags: ["a", "b"], paid: True, weight: 2, customer: None})
        now = info().attributes
        seen.append(
            [now[total], now[due], now[tags], now[paid], now[weight], now.get(customer), now.get(customer, "?")]
        )
        assert type(now[weight]) is float
        assert (customer in now, total in now, "total" in now, len(now)) == (False, True, True, 5)
        assert now["due"] == "2026-01-31T12:30:00.000005Z"
        await sleep(1)
        upsert_attributes({total: 8})
        seen.append(info().attributes[total])

    run = started(sets, attributes={"customer": "ada"})
    assert run.last.attributes == {
        "total": 7, "due": "2026-01-31T12:30:00.000005Z", "tags": ("a", "b"), "paid": True, "weight": 2.0, "customer": None,
    }  # fmt: skip
    run.drive()
    assert run.last.attributes == {"total": 8}
    assert run.last.body is None
    assert seen == [{"customer": "ada"}, [7, when, ["a", "b"], True, 2.0, None, "?"], 8]
    assert run.tags().count("AttributesUpserted") == 2
    first, again = list(seen), replayed_execution(sets, run.history)
    assert seen == first * 2
    again.dispose()


def test_on_replay_the_recorded_values_hold() -> None:
    """A value may be computed by code that has changed: the record has what was recorded, and the code sees that."""
    seen: list[int] = []

    def flow(value: int) -> Any:
        @workflow(name="flow")
        async def sets() -> None:
            upsert_attributes({total: value})
            await sleep(1)
            seen.append(info().attributes[total])

        return sets

    run = started(flow(1))
    run.reload(flow(2))
    run.drive()
    assert seen == [1]


def test_a_call_that_was_added_or_removed_is_a_mismatch() -> None:
    """As of any command."""

    @workflow(name="flow")
    async def with_one() -> None:
        upsert_attributes({total: 1, customer: "ada"})
        await sleep(1)

    @workflow(name="flow")
    async def without() -> None:
        await sleep(1)

    history = started(with_one).drive().history
    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(without, history)
    assert caught.value.history == "attributes customer, total (#1)"
    with pytest.raises(NonDeterminismError) as caught:
        replayed_execution(with_one, started(without).drive().history)
    assert caught.value.code == "attributes customer, total (#1)"


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({customer: 5}, InvalidCallError, "attribute 'customer': expected a str, got 5 of type int"),
        ({total: "5"}, InvalidCallError, "attribute 'total': expected an int, got '5' of type str"),
        ({total: True}, InvalidCallError, "attribute 'total': expected an int, got True of type bool"),
        ({total: 2**53}, InvalidCallError, "attribute 'total': expected an int of at most 53 bits"),
        ({weight: float("nan")}, InvalidCallError, "attribute 'weight': expected a finite number, got nan"),
        ({weight: 10**400}, InvalidCallError, "attribute 'weight': expected a finite number"),
        ({paid: 1}, InvalidCallError, "attribute 'paid': expected True or False, got 1 of type int"),
        ({due: "tomorrow"}, InvalidCallError, "attribute 'due': expected a datetime, got 'tomorrow' of type str"),
        ({due: datetime(2026, 1, 1)}, InvalidCallError, "attribute 'due': expected a datetime with a time zone"),
        ({tags: "urgent"}, InvalidCallError, "attribute 'tags': expected a list of str, got 'urgent' of type str"),
        ({tags: ["a", 1]}, InvalidCallError, "attribute 'tags': expected a str, got 1 of type int"),
        ({"customer": "ada"}, InvalidCallError, r"expected Attribute\(.*\) as a key, got 'customer'"),
        ([customer], InvalidCallError, "expected {Attribute: value}, got"),
        ({customer: "x" * 1001}, PayloadTooLargeError, "attribute 'customer': a text may be 1000 bytes long, this one has 1001"),
        ({customer: "\ud800"}, InvalidCallError, "attribute 'customer': .* is no valid Unicode"),
        ({customer: "a", Attribute("customer", str): "b"}, InvalidCallError, "'customer' is given twice"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_at_the_call(values: Any, error: type[Exception], said: str) -> None:
    """The code may catch it: nothing was recorded, and a replay goes the same way."""

    @workflow
    async def wrong() -> str:
        with pytest.raises(error, match=said):
            upsert_attributes(values)
        await sleep(1)
        upsert_attributes({total: 1})
        return "went on"

    run = started(wrong).drive()
    assert run.result() == "went on"
    assert run.tags().count("AttributesUpserted") == 1
    replayed_execution(wrong, run.history).dispose()


def test_attributes_are_bounded_together() -> None:
    """Those that the run has already count. What was refused is refused on each replay."""

    @workflow
    async def many() -> str:
        upsert_attributes({Attribute(f"a-{n}", int): n for n in range(_limits.ATTRIBUTES_MAX)})
        with pytest.raises(PayloadTooLargeError, match=r"may have 50 attributes, these are 51"):
            upsert_attributes({customer: "one more"})
        upsert_attributes({Attribute("a-0", int): None, customer: "one for another"})
        with pytest.raises(PayloadTooLargeError, match=r"attributes of a run may take 32768 bytes, these take \d+"):
            upsert_attributes({Attribute("a-1", list[str]): ["x" * 1000] * 33})
        await sleep(1)
        return "went on"

    run = started(many)
    run.reload()
    assert run.drive().result() == "went on"
    assert run.tags().count("AttributesUpserted") == 2


def test_a_query_cannot_set_attributes() -> None:
    """It is read-only; reading them is fine."""
    ask: Query[str] = Query("ask", str)
    change: Query[None] = Query("change")

    @workflow
    async def asked() -> None:
        upsert_attributes({customer: "ada"})

        @ask.handler
        def tell() -> str:
            return info().attributes[customer]

        @change.handler
        def set_one() -> None:
            upsert_attributes({customer: "bo"})

        await go.receive()

    run = started(asked)
    assert run.answer("ask") == "ada"
    failure = run.query("change").failure
    assert failure is not None
    assert "read-only: it cannot start attributes" in failure["message"]
    assert run.answer("ask") == "ada"


def test_a_query_that_spoils_the_run_does_not_lose_what_the_step_set() -> None:
    """The attributes of the same step reach the record although the execution is thrown away."""
    wake: Query[None] = Query("wake")

    @workflow
    async def woken() -> None:
        import asyncio

        event = asyncio.Event()

        @wake.handler
        def set_it() -> None:
            event.set()

        await go.receive()
        upsert_attributes({customer: "ada"})
        await event.wait()

    from durable._log import AskQuery
    from tests.engine.harness import payload

    run = started(woken)
    run.send(run.signal_message(go), AskQuery(name="wake", args=to_raw(payload([[], {}])), reply="r"))
    assert run.execution.run is None
    assert run.last.attributes == {"customer": "ada"}


def test_the_record_is_as_the_history_says_after_a_replay() -> None:
    """Also where the record has something else: an attribute set in a part that a reopening voided, for instance."""

    @workflow
    async def sets() -> None:
        upsert_attributes({total: 1})
        await go.receive()
        await go.receive()

    run = started(sets, attributes={"customer": "ada"})
    run.reload()
    run.execution.attributes = {"customer": "bo", "paid": True, "total": True}
    run.signal(go)
    assert run.last.attributes == {"customer": "ada", "paid": None, "total": 1}
    run.signal(go)
    assert run.last.attributes is None


def test_events_keep_their_types() -> None:
    """A whole number stays one, a float too, and a flag is no number."""
    values: Any = {"a": 5, "b": 5.0, "c": True, "d": "5", "e": ("x", "y"), "f": None, "g": ()}

    @workflow
    async def nothing() -> None: ...

    from durable.history import WIRE

    read = WIRE.decode(WIRE.encode(AttributesUpserted(at=START_MS, id=1, values=values)))
    assert isinstance(read, AttributesUpserted)
    assert [(type(value), value) for value in read.values.values()] == [(type(v), v) for v in values.values()]
    assert Execution("wf", "run", nothing, default_codec()).attributes == {}


# --- on an engine


@activity
async def work(n: int) -> int:
    return n


async def test_a_reopened_run_has_the_attributes_of_what_counts() -> None:
    """Those that the failed part set are gone until it sets them again."""
    broken = True

    @workflow
    async def fails() -> None:
        upsert_attributes({total: 1})
        await work(1)
        upsert_attributes({customer: "ada"})
        if broken:
            raise ValueError("no")
        await go.receive()

    @workflow(name="fails")
    async def mended() -> None:
        upsert_attributes({total: 1})
        await work(1)
        await go.receive()

    async with engines() as env:
        first = await env.begin([fails], [work])
        handle = await env.client.start(fails, id="f")()
        with pytest.raises(Exception, match="no"):
            await env.drive(handle.result())
        assert dict((await handle.describe()).attributes) == {"total": 1, "customer": "ada"}
        await env.kill(first)
        await env.begin([mended], [work])
        await env.drive(handle.retry())
        assert dict((await handle.describe()).attributes) == {"total": 1}
        assert [run.workflow_id for run in await env.client.list(attributes=[customer.exists()])] == []
