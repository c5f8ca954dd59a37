"""A process of its own for the tests: `python _store_process.py TASK URL NAME [COUNT]`. It prints what was acknowledged, line by line."""

import asyncio
import os
import sys

from durable.errors import InvalidCallError, StaleLeaseError, WrongSequenceError
from durable.stores import Store, open_store
from durable.stores._protocol import Append, Commit, Lease

STREAM, INBOX = "history", "orders"


async def position(store: Store, partition: int) -> int:
    last = await store.read_last(partition, STREAM)
    return 0 if last is None else last[0]


async def append(store: Store, lease: Lease, name: str, number: int) -> bool:
    """Append one record at the end of the stream; False if the lease is lost."""
    expected = await position(store, lease.partition)
    record = f"{name}:{number}".encode()
    (answer,) = await store.commit([Commit(lease, f"{name}-{number}", appends=[Append(STREAM, expected, [record])])])
    if isinstance(answer, StaleLeaseError | WrongSequenceError):
        return False
    assert answer is None, answer
    print(number, flush=True)
    return True


async def write_forever(store: Store, name: str) -> None:
    """Append until killed."""
    await store.begin_session(name, "group", b"", 60_000)
    (lease,) = await store.acquire(name, INBOX, [0])
    number = 0
    while True:
        number += 1
        assert await append(store, lease, name, number)


async def take_turns(store: Store, name: str, count: int) -> None:
    """Append `count` records, giving the lease away after each few, and fighting for it with others."""
    await store.begin_session(name, "group", b"", 60_000)
    number = 0
    while number < count:
        leases = await store.acquire(name, INBOX, [0])
        if not leases:
            await asyncio.sleep(0.001)
            continue
        for _ in range(5):
            if number < count and await append(store, leases[0], name, number + 1):
                number += 1
        await store.release(leases)
    await store.end_session(name)


async def fight(store: Store, name: str, count: int) -> None:
    """Append at a position that others want as well, without a lease of one's own inbox in the way."""
    await store.begin_session(name, "group", b"", 60_000)
    (lease,) = await store.acquire(name, f"inbox of {name}", [0])
    number = 0
    while number < count:
        number += await append(store, lease, name, number + 1)


async def leave_open(store: Store, name: str) -> None:
    """Write, and end without closing the store."""
    await store.begin_session(name, "group", b"", 60_000)
    (lease,) = await store.acquire(name, INBOX, [0])
    await append(store, lease, name, 1)
    store.watch(["anything"])


def fork(store: Store) -> None:
    """Use the store in a child."""
    child = os.fork()
    if child == 0:
        try:
            store.renew("session", 60_000, [], [])
        except InvalidCallError as error:
            os.write(1, f"{error}\n".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)


async def main() -> None:
    what, url, name, *more = sys.argv[1:]
    store = await open_store(url)
    count = int(more[0]) if more else 0
    if what == "write_forever":
        await write_forever(store, name)
    elif what == "take_turns":
        await take_turns(store, name, count)
        await store.close()
    elif what == "fight":
        await fight(store, name, count)
        await store.close()
    elif what == "leave_open":
        await leave_open(store, name)
    elif what == "fork":
        fork(store)
        await store.close()


asyncio.run(main())
