"""What a store must do: keep streams of records, documents, leases, tasks and due times, and commit them atomically.

A store knows no workflow word. It holds opaque bytes under names, in a fixed number of partitions; nothing needs two
partitions at once. Every promise below is a test of `durable.testing.conformance`, which each store must pass.

- *Streams* are append-only; their records are numbered 1, 2, 3 ... without a gap.
- *Documents* are small records with indexed fields. At most one *open* document has a given name.
- An *inbox* is a queue of entries that outsiders append and the holder of its lease consumes in a commit.
- *Tasks* are claimed by one session at a time, in order, and end by `complete` or by a commit.
- *Dues* are entries that become due at a time; their owner reads and removes them.
- A *session* is a process that says it is alive; leases and claims belong to sessions, and are free once theirs ends or expires.
- *Replies* are short-lived answers, taken once by whoever asked.

Methods are coroutines of one event loop unless marked "thread-safe". A method that raises has written nothing, except
`StoreUnavailableError`: there the outcome is unknown, and the call may be repeated with the same ids.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from .._clock import Clock
from ._attributes import AttributeValue, Condition
from ._records import (
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
    Renewal,
    Reply,
    SessionInfo,
    Task,
    TaskInfo,
    document_topic,
    inbox_topic,
    reply_topic,
    tasks_topic,
)

__all__ = [
    "Append",
    "AttributeValue",
    "ClaimedTask",
    "Commit",
    "Condition",
    "Document",
    "DocumentFilter",
    "DocumentUpdate",
    "Due",
    "Entry",
    "InboxEntry",
    "Inspect",
    "Lease",
    "Outgoing",
    "Renewal",
    "Reply",
    "SessionInfo",
    "Store",
    "Task",
    "TaskInfo",
    "Watch",
    "document_topic",
    "inbox_topic",
    "reply_topic",
    "tasks_topic",
]


class Watch(Protocol):
    """A subscription to topics. Notifications are hints: they may come late, twice, or (across processes) be lost."""

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait until a topic was touched since the last return, or since `watch`; False after `timeout_s`."""
        ...

    def close(self) -> None:
        """End the subscription."""
        ...


class Store(Protocol):
    """The store of one namespace. Open one with `durable.stores.open_store`; `async with` closes it."""

    @property
    def partitions(self) -> int:
        """The number of partitions, fixed when the namespace was made."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock that was handed in: for waiting, ids and jitter."""
        ...

    @property
    def url(self) -> str:
        """The URL it was opened with, without any password."""
        ...

    @property
    def inspect(self) -> "Inspect":
        """What people look at in this store."""
        ...

    def now_ms(self) -> int:
        """Return the store's time in ms, by which due times and expiries are judged. Thread-safe."""
        ...

    async def close(self) -> None:
        """Wait for writes under way, then let go of all resources. A second call does nothing."""
        ...

    # --- documents and their inboxes: anyone may call these

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """Add an open document and put `entries` into its inbox, in order, all in one; return the document.

        If the *latest* document of that name was made by the same `request`, return that one and write nothing; a caller
        that gets back another `id` than it sent knows. Raises `NameTakenError` if an open document has the name, or
        the latest document of the name is not the one expected: `latest` is its id, "" says that there is none, None that it does not matter.

        The latest is the one created last, whatever its id: clocks differ. `created_ms` is set to one more than that of the
        latest of the name if it is not greater.
        """
        ...

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """Append `entry` to the inbox of the open document named `entry.name` and return that document.

        With `id`: to the document of that id instead (it must have that name). With `closed_too`, a closed one will do:
        the one of that `id`, else the latest of the name. The check and the append are one. An entry whose id is in the inbox already is dropped.

        Raises `RunNotFoundError` if there is no such document, `RunClosedError` if it is closed.
        """
        ...

    async def document(self, partition: int, *, id: str | None = None, name: str | None = None) -> Document | None:  # noqa: A002
        """Return the document of `id`, or of `name` the open one, else the latest, or None."""
        ...

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """Return up to `limit` records of `stream` after number `after`, in order."""
        ...

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """Return the last record of `stream` and its number, or None for an empty stream."""
        ...

    async def read_closed(
        self, partition: int, *, before_ms: int, after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[Document]:
        """Return up to `limit` closed documents whose `closed_ms` is less than `before_ms`, the one closed first first.

        Ties are ordered by id. Only those after the (closed_ms, id) of `after`: so the last one of a page leads to the next.
        A closed document without `closed_ms` is not among them.
        """
        ...

    async def take_reply(self, partition: int, id: str) -> bytes | None:  # noqa: A002
        """Return the reply `id` and forget it; None if it is not there (yet)."""
        ...

    # --- sessions, leases, claims

    async def begin_session(self, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
        """Begin or replace the session `id`, alive for `ttl_ms` from now unless renewed."""
        ...

    async def end_session(self, id: str) -> None:  # noqa: A002
        """End the session: its leases and claims are free at once, and those who watch for them are told."""
        ...

    async def sessions(self, group: str) -> list[SessionInfo]:
        """Return the live sessions of `group`, ordered by id."""
        ...

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        """Prolong the session by `ttl_ms` from now, and say what it no longer holds. Thread-safe and blocking.

        Never takes anything back: a lease or task that another session holds by now is lost. A session that was ended (or
        never begun, or expired for so long that it was forgotten) has lost everything and is not made anew.
        """
        ...

    async def acquire(self, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
        """Acquire the leases of `inbox` in those `partitions` whose holder is gone (or was this session: the epoch still grows).

        Returns those acquired, each with a new epoch. The session must be alive, else none.
        """
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up `leases`; those that are not current any more are passed over."""
        ...

    async def holders(self, inbox: str) -> dict[int, str]:
        """Return the session that holds the lease of `inbox`, by partition; partitions without a live holder are left out."""
        ...

    async def last_commits(self, leases: Sequence[Lease]) -> list[str | None]:
        """Return for each lease the id of the last commit applied under it, "" if there was none; None if it is not current."""
        ...

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """Claim up to `limit` free tasks of `queue`, oldest first in each partition, whose kind is in `kinds`.

        A task whose claims so far reached `_limits.TASK_DELIVERIES_MAX` is parked instead, and not returned. The session must be alive, else none.
        """
        ...

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """Remove the task and append `entry` to its `inbox`, in one. Raises `ClaimLostError` unless `session` holds the claim.

        The claim of an expired session is good until another session takes the task.
        """
        ...

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        """Hand claims back: the tasks are free at once, and this delivery does not count. Claims of others are passed over."""
        ...

    async def note_progress(self, session: str, task: str, details: bytes) -> bool:
        """Keep `details` with a claimed task for its next holder; False if the claim is lost."""
        ...

    # --- the owner of a lease

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """For each (lease, after): up to `limit` entries of its inbox with seq > after, in order."""
        ...

    async def read_dues(self, lease: Lease, *, until_ms: int, limit: int) -> list[Due]:
        """Return up to `limit` dues of the lease's inbox with due_ms <= `until_ms`, earliest first (ties by key)."""
        ...

    async def read_outgoing(self, lease: Lease, *, limit: int) -> list[Outgoing]:
        """Return up to `limit` outgoing entries of the lease's inbox that are not relayed yet, oldest first."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """Apply each commit on its own; answer for each: None if it is applied (and durable), or why it was refused.

        Several commits of one call may share a transaction of the store. Raises only `StoreUnavailableError` and its like,
        for all of them: then the outcome is unknown, and the same commits may be sent again.
        """
        ...

    # --- waiting

    def watch(self, topics: Iterable[str]) -> Watch:
        """Subscribe to `topics` (see `inbox_topic` and its neighbours)."""
        ...


class Inspect(Protocol):
    """What people look at. Read-only but for what they do with parked tasks; never used on a hot path."""

    async def documents(self, filter: DocumentFilter, *, limit: int) -> list[tuple[int, Document]]:  # noqa: A002
        """Return up to `limit` matching documents with their partitions, newest first."""
        ...

    async def count_documents(
        self,
        filter: DocumentFilter,  # noqa: A002
        *,
        by: Literal["state", "kind", "inbox"] = "state",
    ) -> dict[str, int]:
        """Return how many documents match, by state, kind or inbox; those without any are left out."""
        ...

    async def tasks(
        self, *, queue: str | None = None, name: str | None = None, parked: bool | None = None, limit: int = 100
    ) -> list[TaskInfo]:
        """Return up to `limit` tasks, oldest first."""
        ...

    async def release_parked(self, ids: Sequence[str]) -> int:
        """Put parked tasks back into their queue with no deliveries counted; return how many."""
        ...

    async def discard_parked(self, ids: Sequence[str], entries: Sequence[Entry]) -> int:
        """Remove parked tasks, each with its entry (same order) appended to its inbox in one; return how many."""
        ...

    async def counts(self) -> dict[str, int]:
        """Return how many entries each kind of thing has: inbox, tasks, dues, outgoing, documents, sessions, leases, records, replies."""
        ...
