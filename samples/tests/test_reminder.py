"""Tests of `reminder.py`: a month, a crash, a cancellation."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from reminder import CALENDAR, reminder, ring, take_out_of_calendar, write_into_calendar

from durable.errors import RunCancelledError
from durable.testing import TestEnvironment

MONTH = timedelta(days=30)


@pytest.fixture(autouse=True)
def calendar() -> Iterator[set[str]]:
    """An empty calendar."""
    CALENDAR.clear()
    yield CALENDAR
    CALENDAR.clear()


def environment() -> TestEnvironment:
    """Return an environment with the real activities."""
    return TestEnvironment(workflows=[reminder], activities=[write_into_calendar, take_out_of_calendar, ring])


async def test_it_rings_after_a_month(calendar: set[str]) -> None:
    """The entry is there until then."""
    async with environment() as env:
        handle = await env.client.start(reminder)("spring cleaning", MONTH)
        await env.advance("29 days")
        assert calendar == {"spring cleaning"}
        assert env.calls(ring) == []
        assert await handle.result() == "Reminder: spring cleaning!"
        assert calendar == set()


async def test_it_outlives_its_worker(calendar: set[str]) -> None:
    """And rings at the same time as it would have."""
    async with environment() as env:
        began = env.now
        handle = await env.client.start(reminder)("spring cleaning", MONTH)
        for _ in range(3):
            await env.advance("1 week")
            await env.crash_worker()
        await handle.result()
        assert env.now == began + MONTH
        assert len(env.calls(write_into_calendar)) == 1


async def test_called_off_it_cleans_up(calendar: set[str]) -> None:
    """Although it is cancelled, its `finally` awaits an activity."""
    async with environment() as env:
        handle = await env.client.start(reminder)("spring cleaning", MONTH)
        await env.advance("1 day")
        await handle.cancel()
        with pytest.raises(RunCancelledError):
            await handle.result()
        assert calendar == set()
        assert env.calls(ring) == []
