"""Sleeping for weeks, and cleaning up when that is called off.

Run it with `python samples/reminder.py`. A reminder sleeps for 30 days: the worker that began it goes away, a second one
takes over, and the reminder still sleeps. Then it is cancelled: `asyncio.CancelledError` rises at its await, as in any
asyncio program, and `finally` takes the entry out of the calendar. A second reminder is short, and reminds.
"""

import asyncio
import os
import tempfile
from datetime import timedelta

from durable import Client, Worker, activity, sleep, workflow
from durable.errors import RunCancelledError

CALENDAR: set[str] = set()  # stands for a calendar in the outside world


@activity
async def write_into_calendar(title: str) -> None:
    """Add an entry; doing it twice changes nothing, so a repeat is harmless."""
    CALENDAR.add(title)


@activity
async def take_out_of_calendar(title: str) -> None:
    """Remove the entry, if it is there."""
    CALENDAR.discard(title)


@activity
async def ring(title: str) -> str:
    """Remind."""
    return f"Reminder: {title}!"


@workflow
async def reminder(title: str, after: timedelta) -> str:
    """Keep an entry in the calendar until the time has come, or until nobody wants it any more."""
    await write_into_calendar(title)
    try:
        await sleep(after)  # a durable timer: it fires on whatever worker is there when its time has come
        return await ring(title)
    finally:
        await take_out_of_calendar(title)  # after a cancellation as well: cleanup may await activities


async def main(store: str) -> None:
    """Let a reminder outlive its worker, cancel it, and let another one ring."""
    activities = [write_into_calendar, take_out_of_calendar, ring]
    async with Client.connect(store) as client:
        async with Worker(client, workflows=[reminder], activities=activities):
            spring = await client.start(reminder, id="spring-cleaning")("spring cleaning", timedelta(days=30))
            tea = await client.start(reminder, id="tea")("the tea is ready", timedelta(milliseconds=300))
            print(await tea.result())
        print(
            f"The first worker is gone. Spring cleaning: {(await spring.describe()).status}, calendar: {sorted(CALENDAR)}"
        )

        async with Worker(client, workflows=[reminder], activities=activities):
            await spring.cancel()
            try:
                await spring.result()
            except RunCancelledError:
                print(f"Spring cleaning is called off, calendar: {sorted(CALENDAR)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/reminder.db")))
