"""What the tests of the suite share: fixtures, and short ways to say what a test is not about."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypedDict, Unpack

import pytest

from ...stores._protocol import (
    Append,
    ClaimedTask,
    Commit,
    Document,
    DocumentFilter,
    DocumentUpdate,
    Due,
    Entry,
    InboxEntry,
    Lease,
    Outgoing,
    Reply,
    Store,
    Task,
)
from .._clock import ManualClock

TTL_MS = 5_000
P = 1  # the partition that most tests use
INBOX = "orders"
NAME = "order-1"
_numbers = count(1)


class Base:
    """Fixtures and hooks. `store` is for the subclass to give."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return a clock that the test moves."""
        return ManualClock()

    async def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        """Close `store`, open what it held anew, and return that; None if nothing survives. The caller closes it."""
        return None


class Parts(TypedDict, total=False):
    """The fields of a `Commit`."""

    id: str
    appends: list[Append]
    documents: list[DocumentUpdate]
    created: list[tuple[Document, Entry]]
    consumed: list[int]
    tasks: list[Task]
    tasks_removed: list[str]
    tasks_cancelled: list[str]
    dues: list[Due]
    dues_removed: list[str]
    outgoing: list[Outgoing]
    relayed: list[str]
    replies: list[Reply]
    forgotten: list[tuple[str, int]]
    follows: str | None
    newest: tuple[int, str] | None


def document(
    id: str = "d-01",  # noqa: A002
    name: str = NAME,
    *,
    inbox: str = INBOX,
    request: str = "r-1",
    kind: str = "order",
    created_ms: int = 1,
) -> Document:
    """Return a document to create."""
    return Document(id, name, inbox, request, kind, "running", created_ms, b"body")


def entry(id: str = "e-1", name: str = NAME, data: bytes = b"hello") -> Entry:  # noqa: A002
    """Return an entry."""
    return Entry(id, name, data)


def task(
    id: str = "t-1",  # noqa: A002
    *,
    queue: str = "work",
    kind: str = "charge",
    claimed_by: str | None = None,
    name: str = NAME,
) -> Task:
    """Return a task."""
    return Task(id, queue, kind, INBOX, name, b"task " + id.encode(), claimed_by)


def commit_of(lease: Lease, **parts: Unpack[Parts]) -> Commit:
    """Return a commit; its id is a new one unless given."""
    return Commit(lease, **{"id": f"c-{next(_numbers)}", **parts})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def commit(store: Store, lease: Lease, **parts: Unpack[Parts]) -> Exception | None:
    """Send one commit, and return its answer."""
    (answer,) = await store.commit([commit_of(lease, **parts)])
    return answer


async def applied(store: Store, lease: Lease, **parts: Unpack[Parts]) -> None:
    """Send one commit, which must be applied."""
    answer = await commit(store, lease, **parts)
    assert answer is None, answer


async def lease_for(store: Store, session: str = "s-1", *, partition: int = P, inbox: str = INBOX) -> Lease:
    """Begin the session and acquire the lease of the inbox."""
    await store.begin_session(session, "group", b"", TTL_MS)
    (lease,) = await store.acquire(session, inbox, [partition])
    return lease


async def queued(store: Store, *tasks: Task, session: str = "s-1", partition: int = P) -> Lease:
    """Put tasks into their queues, and return the lease that did it."""
    lease = await lease_for(store, session, partition=partition)
    await applied(store, lease, tasks=list(tasks))
    return lease


async def claim(
    store: Store, session: str = "s-1", *, limit: int = 10, kinds: Sequence[str] = ("charge",)
) -> list[ClaimedTask]:
    """Claim tasks of the queue "work"."""
    return await store.claim(session, "work", kinds, limit)


async def inbox_of(
    store: Store, *, partition: int = P, inbox: str = INBOX, after: int = 0, limit: int = 100
) -> list[InboxEntry]:
    """Read an inbox. (Reading needs no lease; only what is committed does.)"""
    (entries,) = await store.read_inboxes([(Lease(partition, inbox, "", 0), after)], limit)
    return entries


@dataclass(frozen=True)
class Contents:
    """All that a store holds, as far as the suite looks: equal before and after a call that wrote nothing."""

    counts: dict[str, int]
    documents: list[tuple[int, Document]]
    tasks: list[object]
    inbox: list[InboxEntry]
    dues: list[Due]
    outgoing: list[Outgoing]
    history: list[bytes]


async def contents(store: Store, stream: str = "history") -> Contents:
    """Return what the store holds."""
    reader = Lease(P, INBOX, "", 0)
    return Contents(
        await store.inspect.counts(),
        await store.inspect.documents(DocumentFilter(), limit=1000),
        list(await store.inspect.tasks(limit=1000)),
        await inbox_of(store),
        await store.read_dues(reader, until_ms=2**60, limit=1000),
        await store.read_outgoing(reader, limit=1000),
        await store.read(P, stream),
    )
