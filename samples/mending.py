"""A bad day, mended: runs are found by what they are about, those that failed are retried, and one is forked.

Run it with `python samples/mending.py`. Parcels are priced by the rate of their country. The rate of Norway is missing, so
its parcels fail: they are found by an attribute, the rate is entered, and each is reopened where it failed; nothing that was
recorded is done again. The rate of Sweden was wrong, and its parcel is done: a fork of its run, from before the rate was
looked up, gives the right price, and the old run stays as it was.
"""

import asyncio
import os
import tempfile

from durable import Attribute, Client, RetryPolicy, Worker, activity, upsert_attributes, workflow
from durable.errors import RunFailedError
from durable.history import ActivityScheduled

country = Attribute("country", str)
price = Attribute("price", int)

RATES: dict[str, int] = {}
"""The outside world: cents for each kilogram, by country."""
WEIGHED: list[str] = []


@activity
async def weigh(parcel: str) -> int:
    """Somebody carries it to the scales: once is enough."""
    WEIGHED.append(parcel)
    return len(parcel)


@activity(retry=RetryPolicy(max_attempts=1))
async def rate_of(code: str) -> int:
    """A look into the table of rates."""
    return RATES[code]


@workflow
async def quote(parcel: str, code: str) -> int:
    """Return the price of sending the parcel there."""
    kilograms = await weigh(parcel)
    cents = kilograms * await rate_of(code)
    upsert_attributes({price: cents})
    return cents


async def file(client: Client, parcel: str, code: str) -> None:
    """Ask for a price; to ask again for the same parcel while it is open changes nothing."""
    start = client.start(quote, id=f"quote-{parcel}", on_conflict="use_existing", attributes={country: code})
    run = await start(parcel, code)
    try:
        print(f"{parcel} to {code}: {await run.result()}")
    except RunFailedError:
        print(f"{parcel} to {code}: no price")


async def mend(client: Client) -> None:
    """Enter the rate, and reopen what failed for want of it."""
    RATES["NO"] = 300
    failed = await client.list(workflow=quote, status="failed", attributes=[country == "NO"])
    for found in sorted(failed, key=lambda run: run.workflow_id):
        run = client.handle(found.workflow_id, found.run_id, workflow=quote)
        await run.retry()
        print(f"{found.workflow_id}, retried: {await run.result()}")


async def begin_anew(client: Client) -> None:
    """Take what was recorded up to the question for the rate, and ask it again."""
    RATES["SE"] = 200
    (dear,) = await client.list(workflow=quote, attributes=[country == "SE", price > 1_000])
    source = client.handle(dear.workflow_id, dear.run_id, workflow=quote)
    *_, asked = [entry.seq for entry in await source.history() if isinstance(entry.event, ActivityScheduled)]
    fork = await source.fork(at=asked, id=f"{dear.workflow_id}-again")  # `rate_of` is scheduled: it is done anew
    print(f"{dear.workflow_id}, forked: {await fork.result()}, before: {await source.result()}")


async def main(store: str) -> None:
    """File four parcels, and mend what went wrong."""
    RATES.clear()
    RATES.update({"DE": 100, "SE": 2_000})
    WEIGHED.clear()
    async with Client.connect(store) as client, Worker(client, workflows=[quote], activities=[weigh, rate_of]):
        for parcel, code in (("book", "DE"), ("lamp", "NO"), ("chair", "NO"), ("vase", "SE")):
            await file(client, parcel, code)
        await mend(client)
        await begin_anew(client)
        print(f"by status: {await client.count(workflow=quote)}")
        print(f"weighed: {WEIGHED}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/quotes.db")))
