"""What a store was told to write, call by call: the measure for how quickly it could be written with nothing else around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ...stores import ClaimedTask, Commit, Document, Entry, InboxEntry, Lease, Store


@dataclass(frozen=True, slots=True)
class Created:
    """A document came into being, with entries for its inbox."""

    partition: int
    document: Document
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry was appended to an inbox; `done` is the task that this ended, if one was."""

    partition: int
    inbox: str
    entry: Entry
    done: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session claimed tasks."""

    session: str
    tasks: Sequence[ClaimedTask]


Call = Created | Sent | Claimed | Commit
"""One call, which is one transaction of a store that has nothing to put together."""


@dataclass(slots=True)
class Calls:
    """Calls in the order in which they were answered, and the numbers of the entries that were read, by partition and id."""

    made: list[Call] = field(default_factory=list[Call])
    numbers: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])


class RecordingStore:
    """A `Store` that passes everything on to another one, and keeps what it wrote for runs. Sessions, leases and renewals are left out."""

    def __init__(self, store: Store, calls: Calls) -> None:
        self._store, self._calls = store, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`."""
        made = await self._store.create(partition, document, entries, latest=latest)
        self._calls.made.append(Created(partition, made, tuple(entries)))
        return made

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """See `Store`."""
        found = await self._store.send(partition, entry, id=id, closed_too=closed_too)
        self._calls.made.append(Sent(partition, found.inbox, entry))
        return found

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """See `Store`."""
        found = await self._store.claim(session, queue, kinds, limit)
        if found:
            self._calls.made.append(Claimed(session, found))
        return found

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """See `Store`."""
        await self._store.complete(session, claimed, entry)
        self._calls.made.append(Sent(claimed.partition, claimed.task.inbox, entry, claimed.task.id))

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """See `Store`."""
        found = await self._store.read_inboxes(reads, limit)
        for (lease, _), entries in zip(reads, found, strict=True):
            for entry in entries:
                self._calls.numbers[lease.partition, entry.id] = entry.seq
        return found

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """See `Store`."""
        answers = await self._store.commit(commits)
        self._calls.made += [each for each, refusal in zip(commits, answers, strict=True) if refusal is None]
        return answers


def recording(store: Store, calls: Calls) -> Store:
    """Return `store`, as one that keeps in `calls` what it writes."""
    return cast(Store, RecordingStore(store, calls))


Row = tuple[Any, ...]
Write = tuple[str, Row]
"""The name of a kind of write, and its values: see `writes_of`."""


def writes_of(call: Call, numbers: Mapping[tuple[int, str], int], documents: dict[str, Document]) -> list[Write]:
    """Return the single writes of a call: what a table of rows must be told for it. `documents` has those met so far, by id.

    Kinds: "document" (partition, document), "entry" (partition, inbox, number, entry), "entry read" (partition, inbox, number),
    "record" (partition, stream, number, data), "task" (partition, number, task), "task done" (partition, id), "claimed" (partition, id, session),
    "updated" (partition, update, document), "due" and "due done" (partition, inbox, due or key), "reply" (partition, reply).
    """
    if isinstance(call, Created):
        documents[call.document.id] = call.document
        found: list[Write] = [("document", (call.partition, call.document))]
        return found + [_entry(call.partition, call.document.inbox, entry, numbers) for entry in call.entries]
    if isinstance(call, Sent):
        done: list[Write] = [] if call.done is None else [("task done", (call.partition, call.done))]
        return [*done, _entry(call.partition, call.inbox, call.entry, numbers)]
    if isinstance(call, Claimed):
        return [("claimed", (each.partition, each.task.id, call.session)) for each in call.tasks]
    return _of_commit(call, numbers, documents)


def _entry(partition: int, inbox: str, entry: Entry, numbers: Mapping[tuple[int, str], int]) -> Write:
    number = numbers.get((partition, entry.id), 0)
    return "entry", (partition, inbox, number, entry)


def _of_commit(commit: Commit, numbers: Mapping[tuple[int, str], int], documents: dict[str, Document]) -> list[Write]:
    partition, inbox = commit.lease.partition, commit.lease.inbox
    found: list[Write] = [("entry read", (partition, inbox, seq)) for seq in commit.consumed]
    found += [("task done", (partition, id_)) for id_ in commit.tasks_removed]
    found += [("due done", (partition, inbox, key)) for key in commit.dues_removed]
    for append in commit.appends:
        for seq, data in enumerate(append.records, append.expected + 1):
            found.append(("record", (partition, append.stream, seq, data)))
    found += [("updated", (partition, each, documents.get(each.id))) for each in commit.documents]
    for document, entry in commit.created:
        documents[document.id] = document
        found += [("document", (partition, document)), _entry(partition, document.inbox, entry, numbers)]
    found += [("task", (partition, task)) for task in commit.tasks]
    found += [("due", (partition, inbox, due)) for due in commit.dues]
    found += [("reply", (partition, reply)) for reply in commit.replies]
    return found
