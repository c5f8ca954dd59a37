"""A worker of random programs that may be killed at any time: `python -m tests.crash.random_program STORE_URL LEDGER LEASE_TTL`."""

import asyncio
import os
import sys

from durable import Client, Worker
from durable.testing.simulation._activities import ACTIVITIES
from durable.testing.simulation._interpreter import WORKFLOWS
from durable.testing.simulation._outside import Outside, reach
from tests.crash.program import ledger


class Ledger(Outside):
    """Notes effects in the ledger outside."""

    async def note(self, key: str, n: int) -> None:
        """See `Outside`."""
        with ledger(sys.argv[2]) as book:
            book.execute("INSERT INTO effects VALUES (?, ?, ?)", (key, n, os.getpid()))


async def main() -> None:
    """Work until told to stop."""
    url, _, ttl = sys.argv[1:4]
    reach(Ledger())
    async with Client.connect(url) as client:
        print("connected", flush=True)
        await Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES, lease_ttl=float(ttl), grace=5).run()


if __name__ == "__main__":
    asyncio.run(main())
