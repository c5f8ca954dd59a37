"""Polling: a slow job of somebody else's is asked after until it is done, however long that takes.

Run it with `python samples/polling.py`. There are two ways, and both survive any crash:

- `often`: every few seconds or less. The activity itself polls, in one attempt, and says with `heartbeat` that it is alive;
  the history stays short. If its worker dies, another one goes on within the heartbeat's time limit.
- `seldom`: every few minutes or days. The workflow sleeps between two looks, which costs nothing, and backs off.
"""

import asyncio
import os
import tempfile

from durable import Client, RetryPolicy, Worker, activity, heartbeat, sleep, workflow

LOOKS: dict[str, int] = {}
"""The outside world: how often each job was asked after. A job is done at the fifth look."""


async def look_at(job: str) -> str | None:
    """Would be a request to the other side."""
    LOOKS[job] = LOOKS.get(job, 0) + 1
    return f"{job} is done" if LOOKS[job] >= 5 else None


@activity(heartbeat_timeout="10 s", retry=RetryPolicy(max_attempts=None))
async def wait_for(job: str, every_s: float) -> str:
    """Poll until the job is done. It may be lost and begun anew at any time."""
    while (answer := await look_at(job)) is None:
        heartbeat()
        await asyncio.sleep(every_s)
    return answer


@activity
async def check(job: str) -> str | None:
    """Look once."""
    return await look_at(job)


@workflow
async def often(job: str) -> str:
    """Wait for a job whose end is near."""
    return await wait_for(job, 0.05)


@workflow
async def seldom(job: str, pause_s: float = 60.0, longest_s: float = 86_400.0) -> str:
    """Wait for a job that may take weeks: each pause is twice the one before, up to a day."""
    while (answer := await check(job)) is None:
        await sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)
    return answer


async def main(store: str) -> None:
    """Wait for two jobs."""
    async with Client.connect(store) as client, Worker(client, workflows=[often, seldom], activities=[wait_for, check]):
        near = await client.start(often, id="job-near")("the near job")
        far = await client.start(seldom, id="job-far")("the far job", pause_s=0.02)
        print(await near.result())
        print(await far.result())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/polling.db")))
