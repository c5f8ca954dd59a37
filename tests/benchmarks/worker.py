"""A worker process of its own: `python -m tests.benchmarks.worker URL LEDGER`. Works until it is told to stop, or killed."""

import asyncio
import os
import sys

from durable import Client, Worker, activity, activity_info, workflow
from durable.testing.benchmark._programs import ACTIVITIES, WORKFLOWS

LEASE_S = 2.0  # so that the workers of a pass have shared the partitions soon


@activity(name="benchmark effect")
async def effect(number: int) -> int:
    """Note in the ledger that it happened: a line with its key, written at once."""
    ledger = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, f"{activity_info().idempotency_key}\n".encode())
    os.close(ledger)
    return number + 1


@workflow(name="benchmark effects")
async def effects(length: int) -> int:
    """Have so many effects, one after the other."""
    number = 0
    for _ in range(length):
        number = await effect(number)
    return number


async def main() -> None:
    """Work."""
    async with Client.connect(sys.argv[1]) as client:
        await Worker(client, workflows=[*WORKFLOWS, effects], activities=[*ACTIVITIES, effect], lease_ttl=LEASE_S).run()


if __name__ == "__main__":
    asyncio.run(main())
