"""What happens when an activity fails: tried again, tried later, not tried again, or gone on with where it stopped.

Run it with `python samples/retries.py`. Four activities fail, each in its own way:

- `fetch` finds the network down twice, and is tried again by its policy;
- `post` is told by the other side when to come back: an exception may carry `retry_after`;
- `pay` is refused for good: a declared error, which reaches the workflow as itself;
- `copy` breaks off in the middle, and its next attempt goes on from what `heartbeat` had said.
"""

import asyncio
import os
import tempfile

from durable import Client, RetryPolicy, Worker, activity, activity_info, heartbeat, workflow
from durable.errors import ActivityError

PIECES = 10
QUICK = RetryPolicy(initial_interval="20 ms", coefficient=1.5, maximum_interval="1 s", max_attempts=5)


class TooManyRequestsError(Exception):
    """The other side says when to come back."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CardRefusedError(Exception):
    """No use in trying again."""


@activity(retry=QUICK)
async def fetch(url: str) -> str:
    """Works at the third attempt."""
    attempt = activity_info().attempt
    if attempt < 3:
        raise ConnectionError("the network is down")
    return f"{url} at attempt {attempt}"


@activity
async def post(text: str) -> str:
    """Is asked to come back in 100 ms; the default policy would have waited for a second."""
    if activity_info().attempt == 1:
        raise TooManyRequestsError("slow down", retry_after=0.1)
    return f"{text} at attempt {activity_info().attempt}"


@activity(retry=QUICK, raises=[CardRefusedError])
async def pay(euros: int) -> str:
    """Is refused."""
    raise CardRefusedError(f"no cover for {euros} euros")


@activity(retry=RetryPolicy(initial_interval="20 ms", non_retryable=[PermissionError]))
async def look_into(folder: str) -> str:
    """Fails in a way that the policy knows to be final."""
    raise PermissionError(f"{folder} is locked")


@activity(retry=QUICK, heartbeat_timeout="10 s")
async def copy() -> list[str]:
    """Breaks off after four pieces; the next attempt goes on with the fifth."""
    first = activity_info().details(int) or 0
    copied: list[str] = []
    for piece in range(first, PIECES):
        if activity_info().attempt == 1 and piece == 4:
            raise OSError("the cable came loose")
        copied.append(f"{piece + 1}")
        heartbeat(piece + 1)
    return copied


@workflow
async def errands() -> list[str]:
    """Run all of them, and write down how each ended."""
    diary = [f"fetched {await fetch('https://example.com')}", f"posted {await post('hello')}"]
    try:
        await pay(1_000)
    except CardRefusedError as error:
        diary.append(f"not paid: {error}")
    try:
        await look_into("the cellar")
    except ActivityError as error:
        diary.append(f"not looked into, after {error.attempt} attempt: {error.__cause__}")
    diary.append(f"the second attempt copied pieces {', '.join(await copy())}")
    return diary


async def main(store: str) -> None:
    """Run the errands and print the diary."""
    activities = [fetch, post, pay, look_into, copy]
    async with Client.connect(store) as client, Worker(client, workflows=[errands], activities=activities):
        for line in await client.execute(errands, id="errands-monday")():
            print(line)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/retries.db")))
