"""A commit on the memory store: look at everything first, write when nothing can be refused any more."""

from ...errors import NameTakenError, StaleLeaseError, StoreWentBackError, UnreadMessagesError, WrongSequenceError
from .._protocol import Commit, Document, Entry, document_topic, reply_topic, tasks_topic
from .._rules import created_after, lost_commit, lost_entry, updated
from ._state import Dues, LeaseRow, Partition, State


def apply(state: State, commit: Commit, now_ms: int, touched: set[str]) -> Exception | None:
    """Apply `commit` whole and return None, or write nothing and return why."""
    lease = commit.lease
    row = _current(state, commit)
    if row is None:
        return StaleLeaseError(
            f"session {lease.session!r} does not hold epoch {lease.epoch} of {lease.inbox!r} in partition {lease.partition}"
        )
    if row.last_commit == commit.id:
        return None
    here = state.partitions[lease.partition]
    refusal = lost_commit(commit, row.last_commit) or _lost_entry(here, commit) or _wrong_position(here, commit)
    if refusal is not None:
        return refusal
    documents = _documents(here, commit)
    if isinstance(documents, Exception):
        return documents
    created = _created(here, commit, documents)
    if isinstance(created, Exception):
        return created
    row.last_commit = commit.id
    _remove(state, here, commit)
    _write(state, here, commit, documents, now_ms, touched)
    for document, entry in created:
        here.put(document)
        state.append_entry(lease.partition, document.inbox, entry, touched, now_ms)
    touched.update(document_topic(id_) for id_, closed_ms in commit.forgotten if here.forget(id_, closed_ms))
    return None


def _current(state: State, commit: Commit) -> LeaseRow | None:
    lease = commit.lease
    if not 0 <= lease.partition < len(state.partitions):
        return None
    row = state.partitions[lease.partition].leases.get(lease.inbox)
    return row if row is not None and (row.session, row.epoch) == (lease.session, lease.epoch) else None


def _lost_entry(here: Partition, commit: Commit) -> StoreWentBackError | None:
    if commit.newest is not None:
        entry = here.inboxes.get(commit.lease.inbox, {}).get(commit.newest[0])
        if entry is None or entry.id != commit.newest[1]:
            return lost_entry(commit)
    return None


def _wrong_position(here: Partition, commit: Commit) -> WrongSequenceError | None:
    heads: dict[str, int] = {}
    for append in commit.appends:
        head = heads.get(append.stream)
        if head is None:
            head = len(here.streams.get(append.stream, ()))
        if head != append.expected:
            return WrongSequenceError(f"stream {append.stream!r} holds {head} records, expected {append.expected}")
        heads[append.stream] = head + len(append.records)
    return None


def _documents(here: Partition, commit: Commit) -> dict[str, Document] | Exception:
    """Return the documents as they will be, or why one of the updates is refused."""
    after: dict[str, Document] = {}
    open_id: dict[str, str | None] = {}
    for update in commit.documents:
        document = after.get(update.id) or here.documents.get(update.id)
        if document is None:
            continue
        name = document.name
        if update.closes:
            unread = here.unread.get((document.inbox, name), set())
            if document.inbox == commit.lease.inbox:
                unread = unread.difference(commit.consumed)
            if unread:
                return UnreadMessagesError(f"the inbox holds {len(unread)} unread entries for {name!r}", names=(name,))
        after[update.id] = document = updated(document, update)
        holder = open_id.get(name, here.open_id.get(name))
        if document.open and holder not in (None, document.id):
            return NameTakenError(f"another open document has the name {name!r}")
        if document.open or holder == document.id:
            open_id[name] = document.id if document.open else None
    return after


def _created(
    here: Partition, commit: Commit, documents: dict[str, Document]
) -> list[tuple[Document, Entry]] | NameTakenError:
    """Return the new documents as they will be, or why one of them is refused. `documents` are those that the commit updates."""
    opened = {each.name for each in documents.values() if each.open} if commit.created else set[str]()
    new: dict[str, Document] = {}  # by name
    created: list[tuple[Document, Entry]] = []
    for document, entry in commit.created:
        name = document.name
        holder = here.open_id.get(name)
        if name in new or (holder is not None and holder not in documents) or name in opened:
            return NameTakenError(f"another open document has the name {name!r}")
        if document.id in here.documents or any(document.id == each.id for each in new.values()):
            return NameTakenError(f"another document has the id {document.id!r}")
        new[name] = document = created_after(document, here.latest(name))
        created.append((document, entry))
    return created


def _remove(state: State, here: Partition, commit: Commit) -> None:
    inbox = commit.lease.inbox
    for seq in commit.consumed:
        here.consume(inbox, seq)
    for id_ in commit.tasks_removed:
        state.remove_task(id_)
    if commit.dues_removed:
        dues = here.dues.get(inbox) or Dues()
        for key in commit.dues_removed:
            dues.remove(key)
    if commit.relayed:
        outgoing = here.outgoing.get(inbox, {})
        for id_ in commit.relayed:
            outgoing.pop(id_, None)


def _write(
    state: State, here: Partition, commit: Commit, documents: dict[str, Document], now_ms: int, touched: set[str]
) -> None:
    inbox = commit.lease.inbox
    for append in commit.appends:
        if append.records:
            here.streams.setdefault(append.stream, []).extend(append.records)
    for document in sorted(documents.values(), key=lambda each: each.open):  # closed ones first: they give up the name
        here.put(document)
    touched.update(document_topic(id_) for id_ in documents)
    for task in commit.tasks:
        state.put_task(commit.lease.partition, task)
        if task.claimed_by is None:
            touched.add(tasks_topic(task.queue))
    for id_ in commit.tasks_cancelled:
        state.cancel_task(id_)
    for due in commit.dues:
        here.dues.setdefault(inbox, Dues()).set(due)
    outgoing = here.outgoing.setdefault(inbox, {})
    for entry in commit.outgoing:
        outgoing.pop(entry.id, None)
        outgoing[entry.id] = entry
    if commit.replies:
        for id_ in [id_ for id_, (expires_ms, _) in here.replies.items() if expires_ms <= now_ms]:
            del here.replies[id_]
    for reply in commit.replies:
        here.replies[reply.id] = (now_ms + reply.ttl_ms, reply.data)
        touched.add(reply_topic(reply.id))
