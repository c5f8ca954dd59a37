"""Tests of `saga.py`: nothing stays booked of a trip that is not made."""

from collections.abc import AsyncIterator, Iterator

import pytest
from saga import BOOKED, NothingFreeError, Trip, book, give_back, travel

from durable.errors import RunCancelledError, RunFailedError
from durable.testing import TestEnvironment


@pytest.fixture(autouse=True)
def nothing_booked() -> Iterator[None]:
    """A world without bookings."""
    BOOKED.clear()
    yield
    BOOKED.clear()


@pytest.fixture
async def env() -> AsyncIterator[TestEnvironment]:
    """The workflow and the real world."""
    async with TestEnvironment(workflows=[travel], activities=[book, give_back]) as env:
        yield env


async def test_a_trip_is_booked(env: TestEnvironment) -> None:
    """All three parts of it."""
    assert await env.client.execute(travel)(Trip("Ada")) == ["flight", "hotel", "car"]
    assert sorted(BOOKED.values()) == ["car for Ada", "flight for Ada", "hotel for Ada"]


@pytest.mark.parametrize("missing", ["flight", "hotel", "car"])
async def test_what_was_booked_is_given_back(env: TestEnvironment, missing: str) -> None:
    """Whichever part fails."""
    with pytest.raises(RunFailedError) as raised:
        await env.client.execute(travel)(Trip("Bo", sold_out=missing))
    assert isinstance(raised.value.__cause__, NothingFreeError)
    assert not BOOKED


async def test_the_last_thing_is_given_back_first(env: TestEnvironment) -> None:
    """In the order opposite to that of the bookings."""
    returned = env.fake(give_back, returns=None)
    with pytest.raises(RunFailedError):
        await env.client.execute(travel)(Trip("Bo", sold_out="car"))
    assert [call["what"] for call in returned.calls] == ["car", "hotel", "flight"]


async def test_a_cancelled_trip_is_given_back(env: TestEnvironment) -> None:
    """The cleanup of a cancelled run runs to its end."""
    env.fake(book, takes="1 day", returns=None)
    returned = env.fake(give_back, returns=None)
    handle = await env.client.start(travel)(Trip("Cy"))
    await env.advance("36 hours")
    await handle.cancel()
    with pytest.raises(RunCancelledError):
        await handle.result()
    assert [call["what"] for call in returned.calls] == ["hotel", "flight"]
