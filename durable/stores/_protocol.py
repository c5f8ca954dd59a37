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
from dataclasses import dataclass, field
from typing import Protocol

from .._clock import Clock


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to commit to the inbox `inbox` of `partition`. `epoch` grows with each acquisition and fences out all before."""

    partition: int
    inbox: str
    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A live session: `group` is what it serves (sessions of one group share its leases), `data` what it says of itself."""

    id: str
    group: str
    data: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Document:
    """A small record about something, with the fields that it is found by.

    `id` is unique and sorts by creation; `name` is unique among open documents. `inbox` is where `send` routes entries for
    it. `request` is the id of the call that created it (a repeat of that call finds it). `kind`, `state` and `note` are
    short texts to filter by; `body` is opaque.
    """

    id: str
    name: str
    inbox: str
    request: str
    kind: str
    state: str
    created_ms: int
    body: bytes
    open: bool = True
    note: str = ""
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """New values for a document's fields; None leaves a field as it is. `opens` and `closes` change `open`.

    An update that closes is refused with `UnreadMessagesError` while the document's inbox holds an entry for its `name`
    that the same commit does not consume; one that opens, with `NameTakenError` while another open document has its name.
    Updates of one commit are applied in order; one of a document that is not there does nothing. One that opens clears
    `closed_ms` unless it sets it.
    """

    id: str
    name: str
    state: str | None = None
    note: str | None = None
    body: bytes | None = None
    opens: bool = False
    closes: bool = False
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry for an inbox: `id` is unique among the unread entries of a partition (a repeat is dropped); `name` says whom it is for."""

    id: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """An entry as read: `seq` grows within its inbox, in the order in which entries became visible."""

    seq: int
    id: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Task:
    """Work for whoever claims it. `kind` says what is needed to do it, `inbox` where its outcome goes, `name` whom it is for.

    `id` is unique in the store: a task of the same id is replaced, and goes to the end of its queue unclaimed.
    `claimed_by`: insert the task as already claimed by this session (the short cut of a process that is owner and worker);
    it is kept with the claim, not with the task.
    """

    id: str
    queue: str
    kind: str
    inbox: str
    name: str
    data: bytes
    claimed_by: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task as claimed: `deliveries` counts the claims so far, this one included; `details` is what the last holder left with `note_progress`."""

    partition: int
    task: Task
    deliveries: int
    details: bytes | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Something that becomes due at `due_ms` (the store's clock). `key` is unique in its inbox; setting it again moves it."""

    key: str
    due_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """Records for `stream`, which must now hold exactly `expected` records (0: none yet)."""

    stream: str
    expected: int
    records: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something for another partition, kept until `relayed`. `id` is unique in its inbox; setting it again moves it to the end."""

    id: str
    partition: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer for whoever waits for `id`; may be dropped after `ttl_ms`."""

    id: str
    data: bytes
    ttl_ms: int = 60_000


@dataclass(slots=True)
class Commit:
    """All that one step of an owner writes to its partition: applied whole or not at all.

    Refused with `StaleLeaseError` unless `lease` is the current one of its inbox; with `WrongSequenceError` unless every
    stream is where its append expects it. A repeat of the last `id` under the same lease answers as the first time and
    applies nothing. Removing what is not there is no error. Order of application: consumed, tasks_removed, dues_removed,
    relayed, then everything else; so a key may be removed and set in one commit.
    """

    lease: Lease
    id: str
    appends: list[Append] = field(default_factory=list)
    documents: list[DocumentUpdate] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)  # seqs of inbox entries
    tasks: list[Task] = field(default_factory=list)
    tasks_removed: list[str] = field(default_factory=list)  # ids
    dues: list[Due] = field(default_factory=list)
    dues_removed: list[str] = field(default_factory=list)  # keys
    outgoing: list[Outgoing] = field(default_factory=list)
    relayed: list[str] = field(default_factory=list)  # ids of outgoing entries
    replies: list[Reply] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal found to be lost: leases that another session holds, and ids of tasks that are gone or claimed by another."""

    leases: Sequence[Lease] = ()
    tasks: Sequence[str] = ()
    session_expired: bool = (
        False  # the session had expired and was made anew; what it held and nobody took, it holds again
    )


class Watch(Protocol):
    """A subscription to topics. Notifications are hints: they may come late, twice, or (across processes) be lost."""

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait until a topic was touched since the last return, or since `watch`; False after `timeout_s`."""
        ...

    def close(self) -> None:
        """End the subscription."""
        ...


def inbox_topic(partition: int, inbox: str) -> str:
    """Touched when an entry is appended to this inbox, or its lease is given up."""
    return f"inbox/{partition}/{inbox}"


def tasks_topic(queue: str) -> str:
    """Touched when a task of `queue` becomes free to claim, in any partition."""
    return f"tasks/{queue}"


def document_topic(id: str) -> str:  # noqa: A002
    """Touched when the document `id` is updated."""
    return f"document/{id}"


def reply_topic(id: str) -> str:  # noqa: A002
    """Touched when the reply `id` is written."""
    return f"reply/{id}"


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

    async def create(self, partition: int, document: Document, entry: Entry) -> Document:
        """Add an open document and put `entry` into its inbox, in one; return the document.

        If the *latest* document of that name was made by the same `request`, return that one and write nothing; a caller
        that gets back another `id` than it sent knows. Raises `NameTakenError` if an open document has the name.
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
        """Return the document of `id`, or the latest (by id) of `name`, or None."""
        ...

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """Return up to `limit` records of `stream` after number `after`, in order."""
        ...

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """Return the last record of `stream` and its number, or None for an empty stream."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFilter:
    """What to look for; None or empty: anything. `before_id` pages backwards through time. "After" includes the time, "before" does not."""

    name: str | None = None
    name_prefix: str | None = None
    kinds: Sequence[str] = ()
    states: Sequence[str] = ()
    noted: bool | None = None  # with (True) or without (False) a note
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    before_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task as people see it. `claimed_by` is the session that holds it; `parked` says why it was taken out of the queue."""

    partition: int
    task: Task
    deliveries: int
    claimed_by: str | None
    parked: str | None


class Inspect(Protocol):
    """What people look at. Read-only but for what they do with parked tasks; never used on a hot path."""

    async def documents(self, filter: DocumentFilter, *, limit: int) -> list[tuple[int, Document]]:  # noqa: A002
        """Return up to `limit` matching documents with their partitions, newest first."""
        ...

    async def count_documents(self, filter: DocumentFilter) -> dict[str, int]:  # noqa: A002
        """Return how many documents match, by state."""
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
