"""Changing a workflow while its runs are open: a patch, checked by replay before it is deployed; and pinned versions.

Run it with `python samples/versioning.py`. A subscription charges, waits for a month (a moment, here) and charges again.

1. A run of the first version is open when a credit check is to come before the first charge. The history of that run is
   replayed with the new code *before* it is deployed: without `patched` it does not follow, and is told where; with it, it does.
2. The other way: versions that are pinned. Old and new workers run side by side, and each run ends on the code that it
   began with.
"""

import asyncio
import os
import tempfile

from durable import Client, Signal, Worker, activity, patched, workflow
from durable.testing import replay

next_month = Signal("next_month")
BOOK: list[str] = []
"""The outside world: what was done to whom."""
CHARGED = asyncio.Event()  # somebody was


@activity
async def check_credit(customer: str) -> None:
    """Would ask somebody."""
    BOOK.append(f"checked {customer}")


@activity
async def charge(customer: str) -> None:
    """Would take money."""
    BOOK.append(f"charged {customer}")
    CHARGED.set()


ACTIVITIES = [check_credit, charge]


@workflow(name="subscription")
async def first(customer: str) -> str:
    """The version that is deployed."""
    await charge(customer)
    await next_month.receive()
    await charge(customer)
    return "ended as it began"


@workflow(name="subscription")
async def careless(customer: str) -> str:
    """A change that open runs cannot follow."""
    await check_credit(customer)
    await charge(customer)
    await next_month.receive()
    await charge(customer)
    return "never deployed"


@workflow(name="subscription")
async def second(customer: str) -> str:
    """The same change, for new runs only; those that have passed this point go the old way."""
    if patched("credit-check"):
        await check_credit(customer)
    await charge(customer)
    await next_month.receive()
    await charge(customer)
    return "ended with the second version"


@workflow(name="plan", version="1", pinned=True)
async def plan_1(customer: str) -> str:
    """Pinned: its runs are stepped by workers that have this version."""
    await next_month.receive()
    await charge(customer)
    return "version 1"


@workflow(name="plan", version="2", pinned=True)
async def plan_2(customer: str) -> str:
    """Nothing in common with version 1, and no `patched` anywhere."""
    await check_credit(customer)
    await next_month.receive()
    return "version 2"


async def patch(client: Client) -> None:
    """Change the code of an open run."""
    async with Worker(client, workflows=[first], activities=ACTIVITIES):
        ada = await client.start(first, id="subscription-ada")("Ada")
        await CHARGED.wait()

    history = await ada.history()
    print(f"without a patch: {'fits' if replay(careless, history) else 'does not follow the history of open runs'}")
    print(f"with a patch: {'fits' if replay(second, history) else 'does not follow the history of open runs'}")

    async with Worker(client, workflows=[second], activities=ACTIVITIES):
        bo = await client.start(second, id="subscription-bo")("Bo")
        for run in (ada, bo):
            await run.signal(next_month)
            print(f"{run.workflow_id} {await run.result()}")
    print(", ".join(BOOK))


async def pin(client: Client) -> None:
    """Serve two versions at once."""
    old = Worker(client, workflows=[plan_1], activities=ACTIVITIES)
    new = Worker(client, workflows=[plan_2], activities=ACTIVITIES)  # in production, in another process
    async with old, new:
        ada = await client.start(plan_1, id="plan-ada")("Ada")
        bo = await client.start(plan_2, id="plan-bo")("Bo")
        for run in (ada, bo):
            await run.signal(next_month)
            print(f"{run.workflow_id} ended on {await run.result()}")


async def main(store: str) -> None:
    """Show both ways."""
    BOOK.clear()
    CHARGED.clear()
    async with Client.connect(store) as client:
        await patch(client)
        await pin(client)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/versions.db")))
