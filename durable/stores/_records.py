"""What goes into a store and comes out of it. The promises about these are in `_protocol`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ._attributes import AttributeValue, Condition, check_attributes


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

    `id` is unique, and sorts by creation as far as clocks agree; `name` is unique among open documents. `inbox` is where `send` routes entries for
    it. `request` is the id of the call that created it (a repeat of that call finds it). `kind`, `state` and `note` are
    short texts to filter by, `attributes` typed values to filter by; `body` is opaque. Making one raises `TypeError` for an
    attribute of another type than `AttributeValue`, and `ValueError` for a whole number of more than 64 bits or a NaN.
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
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue], hash=False)

    def __post_init__(self) -> None:
        if self.attributes:
            check_attributes(self.attributes)


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """New values for a document's fields; None leaves a field as it is. `opens` and `closes` change `open`.

    An update that closes is refused with `UnreadMessagesError` while the document's inbox holds an entry for its `name`
    that the same commit does not consume; one that opens, with `NameTakenError` while another open document has its name.
    Updates of one commit are applied in order; one of a document that is not there does nothing. One that opens clears
    `closed_ms` unless it sets it. `attributes` are merged into those that the document has; one whose value is None is removed.
    Making one raises as `Document` does.
    """

    id: str
    name: str
    state: str | None = None
    note: str | None = None
    body: bytes | None = None
    opens: bool = False
    closes: bool = False
    closed_ms: int | None = None
    attributes: Mapping[str, AttributeValue | None] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if self.attributes:
            check_attributes(self.attributes)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry for an inbox: `id` is unique among the unread entries of a partition (a repeat is dropped); `name` says whom it is for."""

    id: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """An entry as read: `seq` grows within its inbox, in the order in which entries became visible.

    `at_ms` is when it was appended, by the store's clock; 0 if the store does not know.
    """

    seq: int
    id: str
    name: str
    data: bytes
    at_ms: int = field(default=0, compare=False)


@dataclass(slots=True)  # not frozen: several are made for each activity, and freezing makes that four times as slow
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


@dataclass(slots=True)  # not frozen: several are made for each activity, and freezing makes that four times as slow
class ClaimedTask:
    """A task as claimed: `deliveries` counts the claims so far, this one included; `details` is what the last holder left with `note_progress`.

    `cancelled`: the holder is to be told to stop; a commit said so before the claim (`Commit.tasks_cancelled`). The claim is as good as any other.
    """

    partition: int
    task: Task
    deliveries: int
    details: bytes | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Something that becomes due at `due_ms` (the store's clock). `key` is unique in its inbox; setting it again moves it."""

    key: str
    due_ms: int
    data: bytes


@dataclass(slots=True)  # not frozen: several are made for each activity, and freezing makes that four times as slow
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
    applies nothing. Refused with `StoreWentBackError` if `follows` is not the last commit applied under the lease, or the
    inbox does not hold the entry `newest`: then the store has lost what it had acknowledged.
    Removing what is not there is no error. Order of application: consumed, tasks_removed, dues_removed,
    relayed, then everything else; so a key may be removed and set in one commit. `created` comes after `documents`, and
    `tasks_cancelled` after `tasks`.

    `created` are documents that come into being, each with the first entry of its own `inbox`, which need not be the
    lease's. Refused with `NameTakenError` if an open document has the name by then: so one commit may close the open
    document of a name and create the next. The same if a document has the `id`. `created_ms` is moved up as in `create`.
    An entry that a commit creates does not keep that same commit from closing a document. Raises `ValueError` for one that is not open.

    `tasks_cancelled` marks tasks: their holder is to be told to stop. Nothing is taken back: the holder learns it by its next
    renewal, and may complete the task as before; a task that nobody holds stays in its queue, and is claimed as cancelled.
    Ids that are not there are passed over. A task that is set again is a new one, without the mark.

    `forgotten` are closed documents, each by its id and its `closed_ms`, of any inbox of the partition: each goes with its
    attributes and the stream that has its id, so that nothing is left of it. Applied last of all. One that is open by then,
    was closed at another time, or is not there, is passed over.
    """

    lease: Lease
    id: str
    appends: list[Append] = field(default_factory=list[Append])
    documents: list[DocumentUpdate] = field(default_factory=list[DocumentUpdate])
    created: list[tuple[Document, Entry]] = field(default_factory=list[tuple[Document, Entry]])
    consumed: list[int] = field(default_factory=list[int])  # seqs of inbox entries
    tasks: list[Task] = field(default_factory=list[Task])
    tasks_removed: list[str] = field(default_factory=list[str])  # ids
    tasks_cancelled: list[str] = field(default_factory=list[str])  # ids
    dues: list[Due] = field(default_factory=list[Due])
    dues_removed: list[str] = field(default_factory=list[str])  # keys
    outgoing: list[Outgoing] = field(default_factory=list[Outgoing])
    relayed: list[str] = field(default_factory=list[str])  # ids of outgoing entries
    replies: list[Reply] = field(default_factory=list[Reply])
    forgotten: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])  # (id, closed_ms)
    follows: str | None = (
        None  # the id of the last commit applied under the lease, "" if this is the first; None: unchecked
    )
    newest: tuple[int, str] | None = None  # number and id of the newest entry in `consumed`; None: unchecked


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal found to be lost: leases that another session holds, and ids of tasks that are gone or claimed by another.

    `cancelled` are the ids of those renewed tasks that are still held, and whose holder is to be told to stop
    (`Commit.tasks_cancelled`): each renewal says so again.
    """

    leases: Sequence[Lease] = ()
    tasks: Sequence[str] = ()
    session_expired: bool = (
        False  # the session had expired and was made anew; what it held and nobody took, it holds again
    )
    cancelled: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFilter:
    """What to look for; None or empty: anything. `before_id` pages backwards through time. "After" includes the time, "before" does not.

    All of `attributes` must hold.
    """

    name: str | None = None
    name_prefix: str | None = None
    kinds: Sequence[str] = ()
    states: Sequence[str] = ()
    noted: bool | None = None  # with (True) or without (False) a note
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    before_id: str | None = None
    inboxes: Sequence[str] = ()
    attributes: Sequence[Condition] = ()


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task as people see it. `claimed_by` is the session that holds it; `parked` says why it was taken out of the queue."""

    partition: int
    task: Task
    deliveries: int
    claimed_by: str | None
    parked: str | None


def inbox_topic(partition: int, inbox: str) -> str:
    """Touched when an entry is appended to this inbox, or its lease is given up."""
    return f"inbox/{partition}/{inbox}"


def tasks_topic(queue: str) -> str:
    """Touched when a task of `queue` becomes free to claim, in any partition."""
    return f"tasks/{queue}"


def document_topic(id: str) -> str:  # noqa: A002
    """Touched when the document `id` is updated or forgotten."""
    return f"document/{id}"


def reply_topic(id: str) -> str:  # noqa: A002
    """Touched when the reply `id` is written."""
    return f"reply/{id}"
