"""Streams of records, inboxes, dues and what goes out: reading them."""

from collections.abc import Sequence

from .._protocol import Due, InboxEntry, Lease, Outgoing
from ._calls import Plain
from ._namespace import Namespace


def _entry(id: bytes, parts: Sequence[bytes]) -> InboxEntry:  # noqa: A002
    number, _, at_ms = id.partition(b"-")
    return InboxEntry(int(number), parts[1].decode(), parts[3].decode(), parts[5], int(at_ms))


async def read(namespace: Namespace, partition: int, stream: str, after: int, limit: int) -> list[bytes]:
    """See `Store.read`."""
    keys = namespace.of(partition)
    if limit <= 0:
        return []
    first = max(after, 0)
    found: list[bytes]
    (found,) = await namespace.run([Plain(keys, ("LRANGE", keys.history(stream), first, first + limit - 1))])
    return found


async def read_last(namespace: Namespace, partition: int, stream: str) -> tuple[int, bytes] | None:
    """See `Store.read_last`."""
    keys = namespace.of(partition)
    found = await namespace.ask("read_last", keys, keys=[keys.history(stream)], writes=False)
    return (found[0], found[1]) if found else None


async def read_inboxes(namespace: Namespace, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
    """See `Store.read_inboxes`."""
    if limit <= 0:
        return [[] for _ in reads]
    calls: list[Plain] = []
    for lease, after in reads:
        keys = namespace.of(lease.partition)
        first = f"{max(after, 0) + 1}-0"
        calls.append(Plain(keys, ("XRANGE", keys.inbox(lease.inbox), first, "+", "COUNT", limit)))
    return [[_entry(id_, parts) for id_, parts in page] for page in await namespace.run(calls)]


async def read_dues(namespace: Namespace, lease: Lease, until_ms: int, limit: int) -> list[Due]:
    """See `Store.read_dues`."""
    keys = namespace.of(lease.partition)
    args = (until_ms, max(limit, 0))
    found = await namespace.ask("read_dues", keys, args, keys=keys.dues(lease.inbox), writes=False)
    return [Due(key.decode(), int(due_ms), data) for key, due_ms, data in found]


async def read_outgoing(namespace: Namespace, lease: Lease, limit: int) -> list[Outgoing]:
    """See `Store.read_outgoing`."""
    keys = namespace.of(lease.partition)
    args = (max(limit, 0),)
    found = await namespace.ask("read_outgoing", keys, args, keys=keys.outgoing(lease.inbox), writes=False)
    return [read_out(id_, data) for id_, data in found]


def written_out(entry: Outgoing) -> bytes:
    """Return what is kept of an entry: the target's number and the data."""
    return b"%d:%b" % (entry.partition, entry.data)


def read_out(id: bytes, written: bytes) -> Outgoing:  # noqa: A002
    """Return the entry that `written_out` wrote."""
    partition, _, data = written.partition(b":")
    return Outgoing(id.decode(), int(partition or b"0"), data)  # without data it can only be reported
