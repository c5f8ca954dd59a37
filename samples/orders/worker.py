"""The shop's worker: runs the workflow and its activities until it is stopped.

    DURABLE_STORE=sqlite:///shop.db SHOP_LEDGER=ledger.db python samples/orders/worker.py

Start as many as you like, on the same file; kill any of them, whenever you like.
"""

import asyncio
import os

import shop

from durable import Client, Worker

ACTIVITIES = [shop.reserve, shop.charge, shop.ship, shop.release, shop.refund, shop.notify]


async def main() -> None:
    """Run a worker on the store that DURABLE_STORE names."""
    async with Client.connect(os.environ.get("DURABLE_STORE", "sqlite:///shop.db")) as client:
        await Worker(client, workflows=[shop.checkout], activities=ACTIVITIES).run()


if __name__ == "__main__":
    asyncio.run(main())
