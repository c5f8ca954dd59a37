"""Fakes are checked, count as calls, and do what they are told."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock, Mock

import pytest

from durable import RetryPolicy, activity, activity_info, complete_later, local, proxy, workflow
from durable.errors import EncodeError, InvalidCallError, RunFailedError, StuckTestError
from durable.testing import TestEnvironment, in_turn

START = datetime(2024, 1, 1, tzinfo=UTC)


class DeclinedError(Exception):
    """The card is no good."""


@activity(raises=[DeclinedError], retry=RetryPolicy(initial_interval="1 min", coefficient=1, jitter=0))
async def charge(order: str, cents: int = 100, *, currency: str = "EUR") -> str:
    return "real"


@activity
async def names() -> list[str]:
    return ["real"]


@activity
def ping() -> None:
    raise AssertionError("not in a test")


class Shop:
    """Has a method that is an activity."""

    @activity
    async def ship(self, order: str) -> str:
        return f"really shipped {order}"


@workflow
async def pay(order: str) -> str:
    try:
        return await charge(order, currency="USD")
    except DeclinedError as error:
        return f"declined: {error}"


@workflow
async def list_names() -> list[str]:
    return await names()


def environment(**options: object) -> TestEnvironment:
    """Return an environment with the workflows and activities of this file."""
    return TestEnvironment(workflows=[pay, list_names], activities=[charge, names, ping], **options)  # type: ignore[arg-type]


async def test_a_fake_counts_inside_its_block_only() -> None:
    """The innermost one does; without a block, a fake counts to the end."""
    async with environment() as env:
        assert await env.client.execute(pay)("o-1") == "real"
        with env.fake(charge, returns="outer"):
            with env.fake(charge, returns="inner"):
                assert await env.client.execute(pay)("o-1") == "inner"
            assert await env.client.execute(pay)("o-1") == "outer"
        assert await env.client.execute(pay)("o-1") == "real"
        env.fake(charge, returns="to the end")
        assert await env.client.execute(pay)("o-1") == "to the end"


async def test_calls_are_recorded_with_their_arguments_by_name() -> None:
    """Of fakes and real activities alike."""
    async with environment() as env:
        await env.client.execute(pay, id="w-1")("o-1")
        fake = env.fake(charge, returns="p")
        await env.client.execute(pay, id="w-2")("o-2")
        first, second = env.calls(charge)
        assert first.arguments == {"order": "o-1", "cents": 100, "currency": "USD"}
        assert (first.args, first.kwargs, first.attempt, first.at) == (("o-1",), {"currency": "USD"}, 1, START)
        assert (second.workflow_id, second["order"]) == ("w-2", "o-2")
        assert fake.calls == [second]
        assert env.calls() == [first, second]
        assert env.calls("charge") == [first, second]
        assert env.calls(names) == []


async def test_outcomes_come_in_turn() -> None:
    """Exceptions among them are raised; each attempt is a call, and retries wait in virtual time."""
    async with environment() as env:
        env.fake(charge, returns=[ConnectionError("down"), TimeoutError, "p-3"])
        assert await env.client.execute(pay)("o-1") == "p-3"
        assert [(call.attempt, call.at - START) for call in env.calls(charge)] == [
            (1, timedelta(0)),
            (2, timedelta(minutes=1)),
            (3, timedelta(minutes=2)),
        ]


async def test_a_list_of_exceptions_comes_before_the_result() -> None:
    """Or stands alone."""
    async with environment() as env:
        with env.fake(charge, raises=[ConnectionError("down"), ConnectionError("still down")], returns="p-1"):
            assert await env.client.execute(pay)("o-1") == "p-1"
            assert len(env.calls(charge)) == 3
        with env.fake(charge, raises=[ConnectionError("down"), DeclinedError("no cover")]):
            assert await env.client.execute(pay)("o-1") == "declined: no cover"


async def test_an_exception_is_raised_at_every_call() -> None:
    """Until the policy gives up."""
    async with environment() as env:
        env.fake(charge, raises=ConnectionError("down"))
        with pytest.raises(RunFailedError) as failed:
            await env.client.execute(pay)("o-1")
        assert "activity 'charge' failed at attempt 10: ConnectionError: down" in str(failed.value)
        assert len(env.calls(charge)) == 10


async def test_a_function_is_called_with_the_arguments() -> None:
    """As `returns` or as `calls`, `def` or `async def`; it runs as the activity, and mocks will do."""

    async def charge_(order: str, cents: int, *, currency: str) -> str:
        return f"{order} {cents} {currency} at attempt {activity_info().attempt}"

    async with environment() as env:
        with env.fake(charge, calls=charge_):
            assert await env.client.execute(pay)("o-1") == "o-1 100 USD at attempt 1"
        with env.fake(charge, returns=lambda o, c, currency: f"{o}/{c}/{currency}"):
            assert await env.client.execute(pay)("o-1") == "o-1/100/USD"
        mock = Mock(return_value="mocked")
        with env.fake(charge, calls=mock):
            assert await env.client.execute(pay)("o-1") == "mocked"
        mock.assert_called_once_with("o-1", 100, currency="USD")
        with env.fake(charge, calls=AsyncMock(return_value="awaited")):
            assert await env.client.execute(pay)("o-1") == "awaited"


async def test_a_list_is_a_result_where_the_activity_returns_lists() -> None:
    """`in_turn` gives several."""
    async with environment() as env:
        with env.fake(names, returns=["a", "b"]):
            assert await env.client.execute(list_names)() == ["a", "b"]
        with env.fake(names, returns=in_turn(["a"], OSError("gone"), ["b"])):
            assert await env.client.execute(list_names)() == ["a"]
            assert await env.client.execute(list_names)() == ["b"]


async def test_methods_are_faked_by_their_class_or_their_instance() -> None:
    """Also if no instance is registered."""
    shop = Shop()

    @workflow
    async def send(order: str) -> str:
        return await proxy(Shop).ship(order)

    async with TestEnvironment(workflows=[send], activities=[shop]) as env:
        assert await env.client.execute(send)("o") == "really shipped o"
        with env.fake(shop.ship, returns="faked by the instance"):
            assert await env.client.execute(send)("o") == "faked by the instance"
    async with TestEnvironment(workflows=[send]) as env:
        env.fake(Shop.ship, calls=lambda order: f"not shipped {order}")
        assert await env.client.execute(send)("o") == "not shipped o"
        assert env.calls(Shop.ship)[0].arguments == {"order": "o"}


async def test_an_activity_that_lives_elsewhere_is_faked_by_its_name() -> None:
    """Then nothing is known of its parameters."""

    @workflow
    async def flow() -> str:
        return await proxy("elsewhere", returns=str)(1, two=2)

    async with TestEnvironment(workflows=[flow]) as env:
        env.fake("elsewhere", returns="from there")
        assert await env.client.execute(flow)() == "from there"
        assert env.calls("elsewhere")[0].kwargs == {"two": 2}


async def test_local_activities_are_faked_too() -> None:
    """They are activities like all others."""

    @workflow
    async def flow() -> str:
        return await local(charge)("o-1")

    async with TestEnvironment(workflows=[flow]) as env:
        env.fake(charge, returns="local")
        assert await env.client.execute(flow)() == "local"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"returns": 5}, EncodeError, "the fake's result of activity charge"),
        ({"returns": ["p-1", 5]}, EncodeError, "the fake's result of activity charge"),
        ({}, InvalidCallError, "must say what it returns"),
        ({"returns": []}, InvalidCallError, "empty list"),
        ({"returns": "p", "calls": lambda order, cents, currency: "p"}, InvalidCallError, "not both"),
        ({"returns": "p", "raises": ConnectionError()}, InvalidCallError, "either raises or returns"),
        ({"raises": "oops"}, InvalidCallError, "expected an exception"),
        ({"raises": [ConnectionError(), 5]}, InvalidCallError, "expected an exception"),
        ({"calls": 5}, InvalidCallError, "expected a function"),
        (
            {"calls": lambda order: "p"},
            InvalidCallError,
            r"charge\(order, cents=100, \*, currency='EUR'\) must take the same",
        ),
        ({"returns": lambda: "p"}, InvalidCallError, "must take the same arguments"),
        ({"returns": "p", "takes": "5 parsecs"}, ValueError, "unknown unit"),
    ],
)
async def test_a_wrong_fake_is_refused_at_once(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    """It names the activity; the fake does not count."""
    async with environment() as env:
        with pytest.raises(error, match=message):
            env.fake(charge, **options)  # type: ignore[arg-type]
        assert await env.client.execute(pay)("o-1") == "real"


async def test_parameters_of_other_names_are_refused() -> None:
    """They may have been swapped."""

    def swapped(cents: int, order: str, *, currency: str) -> str:
        return "p"

    async with environment() as env:
        with pytest.raises(
            InvalidCallError, match=r"must name its parameters as that does, and this has \(cents, order\)"
        ):
            env.fake(charge, calls=swapped)


async def test_what_is_no_activity_cannot_be_faked() -> None:
    """Nor asked for its calls."""
    async with environment() as env:
        with pytest.raises(InvalidCallError, match="expected an activity"):
            env.fake(asyncio.sleep, returns=None)  # type: ignore[arg-type]
        with pytest.raises(InvalidCallError, match="expected an activity"):
            env.calls(5)  # type: ignore[arg-type]


async def test_a_fake_that_has_nothing_left_fails_the_test() -> None:
    """Not the workflow, which might take it for a failure of the activity."""
    async with environment() as env:
        env.fake(charge, returns=["p-1"])
        assert await env.client.execute(pay)("o-1") == "p-1"
        with pytest.raises(StuckTestError, match=r"called once more than it has outcomes \(1\)"):
            await env.client.execute(pay)("o-2")


async def test_a_function_that_returns_what_the_activity_could_not_fails_the_test() -> None:
    """It is known only when it is called."""
    async with environment() as env:
        env.fake(charge, calls=lambda order, cents, currency: 5)
        with pytest.raises(StuckTestError, match="the fake's result of activity charge"):
            await env.client.execute(pay)("o-1")


async def test_an_activity_that_was_only_a_fake_is_missed_when_that_ends() -> None:
    """The test is told."""
    async with TestEnvironment(workflows=[pay]) as env:
        with env.fake(charge, returns="p"):
            assert await env.client.execute(pay)("o-1") == "p"
        with pytest.raises(StuckTestError, match="was called after its fake ended"):
            await env.client.execute(pay)("o-2")


async def test_a_fake_may_leave_its_end_to_others() -> None:
    """Each call has the token of its attempt; the declared type does not matter for `complete_later()`."""
    async with environment() as env:
        asked = env.fake(charge, returns=in_turn(complete_later(), complete_later()))
        handle = await env.client.start(pay)("o-1")
        await env.settle()
        await env.client.activity(asked.calls[0].token).fail("not now")
        await env.advance("1 min")
        await env.client.activity(asked.calls[1].token, activity=charge).complete("paid by hand")
        assert await handle.result() == "paid by hand"
