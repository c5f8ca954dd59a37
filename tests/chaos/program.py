"""A worker of the soak, which may be killed or frozen at any time: `python -m tests.chaos.program STORE_URL LEDGER LEASE_TTL`.

Each effect of its activities is a line in a file of this process, written before the activity returns: one system call, which no
kill can halve, and no lock that a frozen process could hold.
"""

import asyncio
import os
import sys
from pathlib import Path

from durable import Client, RetryPolicy, Signal, Worker, activity, activity_info, sleep, workflow
from durable.errors import StoreUnavailableError

paid = Signal("paid", int)
_RETRY = RetryPolicy(initial_interval=0.05, max_attempts=None)


class Ledger:
    """What the activities of this process have done."""

    def __init__(self, folder: str) -> None:
        self._file = os.open(Path(folder, f"{os.getpid()}.effects"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, number: int) -> None:
        """Note an effect of the current activity."""
        os.write(self._file, f"{activity_info().idempotency_key} {number}\n".encode())


_ledger: list[Ledger] = []


def note(number: int) -> None:
    """Note an effect of the current activity."""
    if not _ledger:
        _ledger.append(Ledger(sys.argv[2]))
    _ledger[0].note(number)


@activity(retry=_RETRY)
async def reserve(number: int) -> int:
    """An effect, from the worker's loop."""
    note(number)
    return number


@activity(retry=_RETRY)
def pack(number: int) -> int:
    """An effect, from a thread."""
    note(number)
    return 2 * number


@workflow(name="parcel")
async def parcel(number: int) -> int:
    """A child with an effect of its own."""
    return await reserve(number)


@workflow(name="order")
async def order(number: int) -> int:
    """Effects, a signal; for some a timer, or a child."""
    total = await reserve(number)
    if has_timer(number):
        await sleep(0.05)
    if has_child(number):
        total += await parcel(number)
    total += await paid.receive()
    return total + await pack(number)


def has_timer(number: int) -> bool:
    """Return whether the run of that number has a timer."""
    return number % 2 == 0


def has_child(number: int) -> bool:
    """Return whether the run of that number has a child."""
    return number % 4 == 1


def expected(number: int) -> int:
    """Return the result of a run whose signal has the value 1000."""
    return 3 * number + 1000 + (number if has_child(number) else 0)


async def begun(url: str, ttl_s: float) -> None:
    """Work from now on; as whoever starts workers does, try again while the server is away."""
    client = await Client.connect(url)
    try:
        worker = Worker(
            client, workflows=[order, parcel], activities=[reserve, pack], lease_ttl=ttl_s, grace=5, max_threads=4
        )
        await worker.__aenter__()
    except BaseException:
        await client.close()
        raise


async def main() -> None:
    """Work until killed."""
    url, _, ttl = sys.argv[1:4]
    while True:
        try:
            await begun(url, float(ttl))
            break
        except StoreUnavailableError:
            await asyncio.sleep(0.2)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
