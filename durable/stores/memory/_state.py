"""What a memory store holds. Every function and method here is called with `State.lock` held."""

import threading
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from ... import _limits
from .._protocol import ClaimedTask, Document, Due, Entry, InboxEntry, Outgoing, Task, inbox_topic
from .._rules import PARKED
from .._watch import Topics


@dataclass(slots=True)
class SessionRow:
    """A session."""

    group: str
    data: bytes
    expires_ms: int
    reaped: bool = False  # it expired, and its claims are in the queues again


@dataclass(slots=True)
class LeaseRow:
    """A lease; without a session if it was given up."""

    session: str | None
    epoch: int
    last_commit: str | None = None


@dataclass(slots=True)
class TaskRow:
    """A task. A `ready` one can be claimed; it may have an `owner` all the same: one that expired and can still come back."""

    seq: int
    partition: int
    task: Task
    owner: str | None
    deliveries: int
    ready: bool
    details: bytes | None = None
    parked: str | None = None
    cancelled: bool = False


class Dues:
    """The dues of an inbox, by key and by time."""

    def __init__(self) -> None:
        self._by_key: dict[str, Due] = {}
        self._order: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._by_key)

    def set(self, due: Due) -> None:
        self.remove(due.key)
        self._by_key[due.key] = due
        insort(self._order, (due.due_ms, due.key))

    def remove(self, key: str) -> None:
        due = self._by_key.pop(key, None)
        if due is not None:
            del self._order[bisect_left(self._order, (due.due_ms, key))]

    def until(self, until_ms: int, limit: int) -> list[Due]:
        end = bisect_left(self._order, (until_ms + 1, ""))
        return [self._by_key[key] for _, key in self._order[: min(end, limit)]]


@dataclass(slots=True)
class Partition:
    """What one partition holds, with its indexes."""

    documents: dict[str, Document] = field(default_factory=dict[str, Document])
    ids_of: dict[str, list[str]] = field(
        default_factory=dict[str, list[str]]
    )  # ids by name, in the order of their creation
    open_id: dict[str, str] = field(default_factory=dict[str, str])  # by name
    closed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])  # (closed_ms, id), sorted
    streams: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    inboxes: dict[str, dict[int, InboxEntry]] = field(default_factory=dict[str, dict[int, InboxEntry]])
    entry_ids: set[str] = field(default_factory=set[str])
    unread: dict[tuple[str, str], set[int]] = field(
        default_factory=dict[tuple[str, str], set[int]]
    )  # seqs by (inbox, name)
    dues: dict[str, Dues] = field(default_factory=dict[str, Dues])
    outgoing: dict[str, dict[str, Outgoing]] = field(default_factory=dict[str, dict[str, Outgoing]])
    leases: dict[str, LeaseRow] = field(default_factory=dict[str, LeaseRow])
    replies: dict[str, tuple[int, bytes]] = field(default_factory=dict[str, tuple[int, bytes]])  # (expiry, data) by id

    def latest(self, name: str) -> Document | None:
        ids = self.ids_of.get(name)
        return self.documents[ids[-1]] if ids else None

    def current(self, name: str) -> Document | None:
        """Return the open document of `name`, else the latest."""
        return self.documents.get(self.open_id.get(name, "")) or self.latest(name)

    def put(self, document: Document) -> None:
        """Add or replace `document`, and keep the indexes right."""
        before = self.documents.get(document.id)
        self.documents[document.id] = document
        if before is None:
            self.ids_of.setdefault(document.name, []).append(document.id)
        if document.open:
            self.open_id[document.name] = document.id
        elif before is not None and before.open:
            del self.open_id[document.name]
        if before is not None:
            self._unlist(before)
        if not document.open and document.closed_ms is not None:
            insort(self.closed, (document.closed_ms, document.id))

    def forget(self, id: str, closed_ms: int) -> bool:  # noqa: A002
        """Remove a document that was closed then, and the stream of its id; False if there is none."""
        document = self.documents.get(id)
        if document is None or document.open or document.closed_ms != closed_ms:
            return False
        del self.documents[id]
        self._unlist(document)
        ids = self.ids_of[document.name]
        ids.remove(id)
        if not ids:
            del self.ids_of[document.name]
        self.streams.pop(id, None)
        return True

    def _unlist(self, document: Document) -> None:
        if not document.open and document.closed_ms is not None:
            del self.closed[bisect_left(self.closed, (document.closed_ms, document.id))]

    def closed_before(self, before_ms: int, after: tuple[int, str], limit: int) -> list[Document]:
        start, end = bisect_right(self.closed, after), bisect_left(self.closed, (before_ms, ""))
        return [self.documents[id_] for _, id_ in self.closed[start : max(start, min(end, start + limit))]]

    def consume(self, inbox: str, seq: int) -> None:
        entry = self.inboxes.get(inbox, {}).pop(seq, None)
        if entry is not None:
            self.entry_ids.discard(entry.id)
            seqs = self.unread[inbox, entry.name]
            seqs.discard(seq)
            if not seqs:
                del self.unread[inbox, entry.name]


class State:
    """All that a memory store holds; several handles may share one."""

    def __init__(self, partitions: int) -> None:
        self.lock = threading.RLock()
        self.topics = Topics()
        self.partitions = [Partition() for _ in range(partitions)]
        self.sessions: dict[str, SessionRow] = {}
        self.tasks: dict[str, TaskRow] = {}
        self.owned: dict[str, set[str]] = {}  # ids of tasks by session
        self._ready: dict[
            tuple[str, str], list[tuple[int, str]]
        ] = {}  # heaps by (queue, kind); stale entries are skipped
        self._seq = 0

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def is_alive(self, session: str | None, now_ms: int) -> bool:
        row = self.sessions.get(session) if session is not None else None
        return row is not None and row.expires_ms > now_ms

    def append_entry(self, partition: int, inbox: str, entry: Entry, touched: set[str], now_ms: int) -> None:
        """Append `entry` unless its id is unread already."""
        here = self.partitions[partition]
        touched.add(inbox_topic(partition, inbox))
        if entry.id in here.entry_ids:
            return
        seq = self.next_seq()
        here.entry_ids.add(entry.id)
        here.inboxes.setdefault(inbox, {})[seq] = InboxEntry(seq, entry.id, entry.name, entry.data, now_ms)
        here.unread.setdefault((inbox, entry.name), set()).add(seq)

    # --- tasks

    def put_task(self, partition: int, task: Task) -> None:
        """Add `task` at the end of its queue; one of the same id is replaced."""
        self.remove_task(task.id)
        owner = task.claimed_by
        task = replace(task, claimed_by=None)
        row = TaskRow(self.next_seq(), partition, task, owner, 0 if owner is None else 1, owner is None)
        self.tasks[task.id] = row
        if owner is None:
            self.make_ready(row)
        else:
            self.owned.setdefault(owner, set()).add(task.id)
            session = self.sessions.get(owner)
            if session is None or session.reaped:  # its other claims are in the queues again
                self.make_ready(row)

    def remove_task(self, id: str) -> None:  # noqa: A002
        row = self.tasks.pop(id, None)
        if row is not None:
            self.set_owner(row, None)

    def cancel_task(self, id: str) -> None:  # noqa: A002
        row = self.tasks.get(id)
        if row is not None:
            row.cancelled = True

    def held(self, session: str, id: str) -> TaskRow | None:  # noqa: A002
        row = self.tasks.get(id)
        return row if row is not None and row.owner == session else None

    def set_owner(self, row: TaskRow, owner: str | None) -> None:
        if row.owner is not None:
            held = self.owned[row.owner]
            held.discard(row.task.id)
            if not held:
                del self.owned[row.owner]
        row.owner = owner
        if owner is not None:
            self.owned.setdefault(owner, set()).add(row.task.id)

    def make_ready(self, row: TaskRow) -> None:
        row.ready = True
        heappush(self._ready.setdefault((row.task.queue, row.task.kind), []), (row.seq, row.task.id))

    def claim(self, session: str, queue: str, kinds: set[str], limit: int) -> list[ClaimedTask]:
        claimed: list[ClaimedTask] = []
        while len(claimed) < limit:
            heads = [(head, kind) for kind in kinds if (head := self._head(queue, kind)) is not None]
            if not heads:
                break
            (_, id_), kind = min(heads)
            heappop(self._ready[queue, kind])
            row = self.tasks[id_]
            row.ready = False
            if row.deliveries >= _limits.TASK_DELIVERIES_MAX:
                row.parked = PARKED
                self.set_owner(row, None)
                continue
            row.deliveries += 1
            self.set_owner(row, session)
            claimed.append(ClaimedTask(row.partition, row.task, row.deliveries, row.details, row.cancelled))
        return claimed

    def _head(self, queue: str, kind: str) -> tuple[int, str] | None:
        """Return the oldest ready task of this kind as (seq, id); drops stale entries of the heap on the way."""
        heap = self._ready.get((queue, kind))
        while heap:
            seq, id_ = heap[0]
            row = self.tasks.get(id_)
            if row is not None and row.seq == seq and row.ready:
                return heap[0]
            heappop(heap)
        self._ready.pop((queue, kind), None)
        return None

    def reap(self, now_ms: int) -> set[str]:
        """Put the claims of expired sessions back into their queues; return those queues."""
        queues = set[str]()
        for id_, session in self.sessions.items():
            if session.expires_ms <= now_ms and not session.reaped:
                session.reaped = True
                for row in self.owned_rows(id_):
                    self.make_ready(row)
                    queues.add(row.task.queue)
        return queues

    def owned_rows(self, session: str) -> list[TaskRow]:
        return [self.tasks[id_] for id_ in self.owned.get(session, ())]
