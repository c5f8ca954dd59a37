"""The memory store: the protocol word for word, in dicts. Deterministic, without threads of its own."""

from collections.abc import Iterable, Sequence

from ..._clock import Clock
from ...errors import ClaimLostError, InvalidCallError, NameTakenError, RunClosedError, RunNotFoundError
from .._protocol import (
    ClaimedTask,
    Commit,
    Document,
    Due,
    Entry,
    InboxEntry,
    Inspect,
    Lease,
    Outgoing,
    Renewal,
    SessionInfo,
    Watch,
    inbox_topic,
    tasks_topic,
)
from .._rules import SESSION_KEPT_MS, check_commits, check_latest, check_new, check_partition, created_after
from . import _commit
from ._inspect import MemoryInspect
from ._state import Dues, LeaseRow, Partition, SessionRow, State


class MemoryStore:
    """A handle on a `State`. Nothing survives the process."""

    def __init__(self, state: State, clock: Clock, url: str) -> None:
        self._state, self._clock, self._url = state, clock, url
        self._closed = False

    @property
    def partitions(self) -> int:
        """See `Store`."""
        return len(self._state.partitions)

    @property
    def clock(self) -> Clock:
        """See `Store`."""
        return self._clock

    @property
    def url(self) -> str:
        """See `Store`."""
        return self._url

    @property
    def inspect(self) -> Inspect:
        """See `Store`."""
        return MemoryInspect(self._open(), self._clock)

    def now_ms(self) -> int:
        """See `Store`."""
        return self._clock.now_ms()

    async def close(self) -> None:
        """See `Store`."""
        self._closed = True

    def _open(self) -> State:
        if self._closed:
            raise InvalidCallError(f"the store {self._url} is closed: open it anew")
        return self._state

    def _partition(self, partition: int) -> Partition:
        state = self._open()
        check_partition(partition, len(state.partitions))
        return state.partitions[partition]

    # --- documents and their inboxes

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`."""
        here, state, touched = self._partition(partition), self._state, set[str]()
        check_new(document)
        with state.lock:
            # The open one first: clocks differ, so an earlier document may have the greater id.
            for known in (here.current(document.name), here.latest(document.name)):
                if known is not None and known.request == document.request:
                    return known
            if document.name in here.open_id:
                raise NameTakenError(
                    f"the document {here.open_id[document.name]!r} is open and has the name {document.name!r}"
                )
            if document.id in here.documents:
                raise NameTakenError(f"another document has the id {document.id!r}")
            last = here.latest(document.name)
            check_latest(document, latest, last)
            document = created_after(document, last)
            here.put(document)
            for entry in entries:
                state.append_entry(partition, document.inbox, entry, touched, self.now_ms())
        state.topics.touch(touched)
        return document

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """See `Store`."""
        here, state, touched = self._partition(partition), self._state, set[str]()
        with state.lock:
            if id is not None:
                document = here.documents.get(id)
            else:
                document = here.current(entry.name)
            if document is None or document.name != entry.name:
                raise RunNotFoundError(
                    f"no document named {entry.name!r}" + (f" with the id {id!r}" if id is not None else "")
                )
            if not document.open and not closed_too:
                raise RunClosedError(f"the document {document.id!r} named {entry.name!r} is closed")
            state.append_entry(partition, document.inbox, entry, touched, self.now_ms())
        state.topics.touch(touched)
        return document

    async def document(self, partition: int, *, id: str | None = None, name: str | None = None) -> Document | None:  # noqa: A002
        """See `Store`."""
        here = self._partition(partition)
        if (id is None) == (name is None):
            raise ValueError(f"expected either id or name, got id={id!r}, name={name!r}")
        with self._state.lock:
            return here.documents.get(id) if id is not None else here.current(name or "")

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """See `Store`."""
        here = self._partition(partition)
        with self._state.lock:
            return here.streams.get(stream, [])[max(after, 0) : max(after, 0) + limit]

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """See `Store`."""
        here = self._partition(partition)
        with self._state.lock:
            records = here.streams.get(stream)
            return (len(records), records[-1]) if records else None

    async def read_closed(
        self, partition: int, *, before_ms: int, after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[Document]:
        """See `Store`."""
        here = self._partition(partition)
        with self._state.lock:
            return here.closed_before(before_ms, after, limit)

    async def take_reply(self, partition: int, id: str) -> bytes | None:  # noqa: A002
        """See `Store`."""
        here = self._partition(partition)
        with self._state.lock:
            expires_ms, data = here.replies.pop(id, (0, b""))
            return data if expires_ms > self.now_ms() else None

    # --- sessions, leases, claims

    async def begin_session(self, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        with state.lock:
            self._reap(now_ms)
            for old in [each for each, row in state.sessions.items() if row.expires_ms <= now_ms - SESSION_KEPT_MS]:
                state.topics.touch(self._free(old))
            state.sessions[id] = SessionRow(group, data, now_ms + ttl_ms)
            for row in state.owned_rows(id):
                row.ready = False

    async def end_session(self, id: str) -> None:  # noqa: A002
        """See `Store`."""
        with self._open().lock:
            touched = self._free(id)
        self._state.topics.touch(touched)

    def _free(self, session: str) -> set[str]:
        """Forget the session and free what it holds; return the topics of that."""
        state, touched = self._state, set[str]()
        state.sessions.pop(session, None)
        for partition, here in enumerate(state.partitions):
            for inbox, lease in here.leases.items():
                if lease.session == session:
                    lease.session = None
                    touched.add(inbox_topic(partition, inbox))
        for row in state.owned_rows(session):
            state.set_owner(row, None)
            state.make_ready(row)
            touched.add(tasks_topic(row.task.queue))
        return touched

    def _reap(self, now_ms: int) -> None:
        queues = self._state.reap(now_ms)
        self._state.topics.touch(tasks_topic(queue) for queue in queues)

    async def sessions(self, group: str) -> list[SessionInfo]:
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        with state.lock:
            live = [(id_, row) for id_, row in state.sessions.items() if row.group == group and row.expires_ms > now_ms]
        return [
            SessionInfo(id_, row.group, row.data, row.expires_ms) for id_, row in sorted(live, key=lambda each: each[0])
        ]

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        with state.lock:
            row = state.sessions.get(session)
            if row is None:
                return Renewal(tuple(leases), tuple(tasks), session_expired=True)
            expired = row.expires_ms <= now_ms
            row.expires_ms, row.reaped = now_ms + ttl_ms, False
            for task in state.owned_rows(session):
                task.ready = False
            held = {id_: mine for id_ in tasks if (mine := state.held(session, id_)) is not None}
            return Renewal(
                tuple(lease for lease in leases if not self._is_current(lease, session)),
                tuple(id_ for id_ in tasks if id_ not in held),
                expired,
                tuple(id_ for id_ in tasks if id_ in held and held[id_].cancelled),
            )

    def _is_current(self, lease: Lease, session: str) -> bool:
        if not 0 <= lease.partition < len(self._state.partitions):
            return False
        row = self._state.partitions[lease.partition].leases.get(lease.inbox)
        return row is not None and row.session == lease.session == session and row.epoch == lease.epoch

    async def acquire(self, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        acquired = list[Lease]()
        with state.lock:
            if not state.is_alive(session, now_ms):
                return []
            wanted = {partition: self._partition(partition).leases for partition in partitions}
            for partition, leases in wanted.items():
                row = leases.setdefault(inbox, LeaseRow(None, 0))
                if row.session == session or not state.is_alive(row.session, now_ms):
                    row.session, row.epoch, row.last_commit = session, row.epoch + 1, None
                    acquired.append(Lease(partition, inbox, session, row.epoch))
        return acquired

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store`."""
        touched = set[str]()
        with self._open().lock:
            for lease in leases:
                if self._is_current(lease, lease.session):
                    self._state.partitions[lease.partition].leases[lease.inbox].session = None
                    touched.add(inbox_topic(lease.partition, lease.inbox))
        self._state.topics.touch(touched)

    async def holders(self, inbox: str) -> dict[int, str]:
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        with state.lock:
            rows = ((number, here.leases.get(inbox)) for number, here in enumerate(state.partitions))
            return {
                number: row.session
                for number, row in rows
                if row and row.session and state.is_alive(row.session, now_ms)
            }

    async def last_commits(self, leases: Sequence[Lease]) -> list[str | None]:
        """See `Store`."""
        with self._open().lock:
            return [
                self._state.partitions[lease.partition].leases[lease.inbox].last_commit or ""
                if self._is_current(lease, lease.session)
                else None
                for lease in leases
            ]

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """See `Store`."""
        state, now_ms = self._open(), self.now_ms()
        with state.lock:
            if not state.is_alive(session, now_ms):
                return []
            self._reap(now_ms)
            return state.claim(session, queue, set(kinds), limit)

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """See `Store`."""
        touched = set[str]()
        with self._open().lock:
            row = self._state.held(session, claimed.task.id)
            if row is None:
                raise ClaimLostError(f"the task {claimed.task.id!r} is not claimed by {session!r}")
            self._state.remove_task(claimed.task.id)
            self._state.append_entry(row.partition, row.task.inbox, entry, touched, self.now_ms())
        self._state.topics.touch(touched)

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        """See `Store`."""
        touched = set[str]()
        with self._open().lock:
            for id_ in tasks:
                row = self._state.held(session, id_)
                if row is not None:
                    self._state.set_owner(row, None)
                    self._state.make_ready(row)
                    row.deliveries -= 1
                    touched.add(tasks_topic(row.task.queue))
        self._state.topics.touch(touched)

    async def note_progress(self, session: str, task: str, details: bytes) -> bool:
        """See `Store`."""
        with self._open().lock:
            row = self._state.held(session, task)
            if row is not None:
                row.details = details
            return row is not None

    # --- the owner of a lease

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """See `Store`."""
        found = list[list[InboxEntry]]()
        with self._open().lock:
            for lease, after in reads:
                entries = self._partition(lease.partition).inboxes.get(lease.inbox, {})
                page: list[InboxEntry] = []
                for seq, entry in entries.items():
                    if len(page) >= limit:
                        break
                    if seq > after:
                        page.append(entry)
                found.append(page)
        return found

    async def read_dues(self, lease: Lease, *, until_ms: int, limit: int) -> list[Due]:
        """See `Store`."""
        with self._open().lock:
            return (self._partition(lease.partition).dues.get(lease.inbox) or Dues()).until(until_ms, limit)

    async def read_outgoing(self, lease: Lease, *, limit: int) -> list[Outgoing]:
        """See `Store`."""
        with self._open().lock:
            return list(self._partition(lease.partition).outgoing.get(lease.inbox, {}).values())[:limit]

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """See `Store`."""
        check_commits(commits)
        touched = set[str]()
        with self._open().lock:
            now_ms = self.now_ms()
            answers = [_commit.apply(self._state, commit, now_ms, touched) for commit in commits]
        self._state.topics.touch(touched)
        return answers

    # --- waiting

    def watch(self, topics: Iterable[str]) -> Watch:
        """See `Store`."""
        return self._open().topics.watch(topics, self._clock)
