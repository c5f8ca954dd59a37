"""Say how far the work is: the next attempt goes on from there."""

import asyncio

from durable import activity, activity_info, heartbeat, workflow
from durable.testing import TestEnvironment

written: list[int] = []


@activity(heartbeat_timeout="1 minute")
async def copy(rows: int) -> int:
    first = activity_info().details(int) or 0
    for row in range(first, rows):
        if row == 3 and activity_info().attempt == 1:
            raise ConnectionError("the network is down")
        written.append(row)
        heartbeat(row + 1)
    return rows


@workflow
async def backup(rows: int) -> int:
    return await copy(rows)


async def main() -> None:
    async with TestEnvironment(workflows=[backup], activities=[copy]) as env:
        assert await env.client.execute(backup)(5) == 5
    assert written == [0, 1, 2, 3, 4]


asyncio.run(main())
