"""Make the effect on the outside world happen once, however often the activity is tried."""

import asyncio

from durable import RetryPolicy, activity, activity_info, workflow
from durable.testing import TestEnvironment

ledger: dict[str, int] = {}  # stands for a payment provider that knows idempotency keys


@activity(retry=RetryPolicy(max_attempts=3))
async def charge(cents: int) -> int:
    ledger.setdefault(activity_info().idempotency_key, cents)
    if activity_info().attempt < 3:
        raise ConnectionError("the answer was lost, the charge was not")
    return activity_info().attempt


@workflow
async def pay(cents: int) -> int:
    return await charge(cents)


async def main() -> None:
    async with TestEnvironment(workflows=[pay], activities=[charge]) as env:
        assert await env.client.execute(pay)(1250) == 3
    assert list(ledger.values()) == [1250]


asyncio.run(main())
