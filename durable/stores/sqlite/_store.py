"""The SQLite store: each method hands its call to the thread that writes or the one that reads."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

from ..._clock import Clock
from .._protocol import (
    ClaimedTask,
    Commit,
    Document,
    DocumentFilter,
    Due,
    Entry,
    InboxEntry,
    Inspect,
    Lease,
    Outgoing,
    Renewal,
    SessionInfo,
    TaskInfo,
    Watch,
)
from .._rules import check_commits, check_new, check_partition, counted_field
from .._upkeep import Finding, Space
from .._watch import Topics
from . import _documents, _inspect, _leases, _replies, _streams, _tasks, _upkeep
from ._commit import commit
from ._connection import Options
from ._reader import Reader
from ._writer import Writer


class SqliteStore:
    """A handle on a file. What it acknowledged is in the file, to the degree that `synchronous` says."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._topics = Topics(on_first=lambda: self._writer.poke())
        self._writer, self._reader = Writer(options, clock, self._topics), Reader(options, clock)
        self._inspect = SqliteInspect(self._writer, self._reader, clock, options)

    async def open(self) -> None:
        """Open the file, making it if need be. Raises as `open_store` does; nothing is left open then."""
        await self._writer.start()
        try:
            await self._reader.start()
        except BaseException:
            await self._writer.stop()
            raise

    @property
    def partitions(self) -> int:
        """See `Store`."""
        return self._writer.partitions

    @property
    def clock(self) -> Clock:
        """See `Store`."""
        return self._clock

    @property
    def url(self) -> str:
        """See `Store`."""
        return self._options.shown

    @property
    def inspect(self) -> Inspect:
        """See `Store`."""
        return self._inspect

    def now_ms(self) -> int:
        """See `Store`. The machine's clock, which all processes that share the file see."""
        return self._clock.now_ms()

    async def close(self) -> None:
        """See `Store`."""
        await asyncio.gather(self._reader.stop(), self._writer.stop())

    def _check(self, partition: int) -> None:
        check_partition(partition, self._writer.partitions)

    # --- documents and their inboxes

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`."""
        self._check(partition)
        check_new(document)
        new = _documents.Creation(partition, document, tuple(entries), latest)
        return await self._writer.submit(_documents.create, new)

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """See `Store`."""
        self._check(partition)
        return await self._writer.submit(_documents.send, _documents.Sending(partition, entry, id, closed_too))

    async def document(self, partition: int, *, id: str | None = None, name: str | None = None) -> Document | None:  # noqa: A002
        """See `Store`."""
        self._check(partition)
        if id is not None and name is None:
            return await self._reader.submit(_documents.by_id, (partition, id))
        if name is not None and id is None:
            return await self._reader.submit(_documents.by_name, (partition, name))
        raise ValueError(f"expected either id or name, got id={id!r}, name={name!r}")

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """See `Store`."""
        self._check(partition)
        return await self._reader.submit(_streams.read, _streams.Page(partition, stream, after, limit))

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """See `Store`."""
        self._check(partition)
        return await self._reader.submit(_streams.read_last, (partition, stream))

    async def read_closed(
        self, partition: int, *, before_ms: int, after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[Document]:
        """See `Store`."""
        self._check(partition)
        return await self._reader.submit(_documents.closed, (partition, before_ms, *after, limit))

    async def take_reply(self, partition: int, id: str) -> bytes | None:  # noqa: A002
        """See `Store`."""
        self._check(partition)
        return await self._writer.submit(_replies.take_reply, (partition, id))

    # --- sessions, leases, claims

    async def begin_session(self, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
        """See `Store`."""
        await self._writer.submit(_leases.begin_session, _leases.Beginning(id, group, data, ttl_ms))

    async def end_session(self, id: str) -> None:  # noqa: A002
        """See `Store`."""
        await self._writer.submit(_leases.end_session, id)

    async def sessions(self, group: str) -> list[SessionInfo]:
        """See `Store`."""
        return await self._reader.submit(_leases.sessions, (group, self.now_ms()))

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        """See `Store`."""
        return self._writer.call(_leases.renew, _leases.Renewing(session, ttl_ms, tuple(leases), tuple(tasks)))

    async def acquire(self, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
        """See `Store`."""
        wanted = tuple(dict.fromkeys(partitions))
        for partition in wanted:
            self._check(partition)
        return await self._writer.submit(_leases.acquire, _leases.Acquiring(session, inbox, wanted))

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store`."""
        await self._writer.submit(_leases.release, tuple(leases))

    async def holders(self, inbox: str) -> dict[int, str]:
        """See `Store`."""
        return await self._reader.submit(_leases.holders, (inbox, self.now_ms()))

    async def last_commits(self, leases: Sequence[Lease]) -> list[str | None]:
        """See `Store`."""
        return await self._reader.submit(_leases.last_commits, tuple(leases))

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """See `Store`."""
        return await self._writer.submit(_tasks.claim, _tasks.Claiming(session, queue, tuple(kinds), limit))

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """See `Store`."""
        await self._writer.submit(_tasks.complete, _tasks.Completion(session, claimed, entry))

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        """See `Store`."""
        await self._writer.submit(_tasks.unclaim, _tasks.Unclaiming(session, tuple(tasks)))

    async def note_progress(self, session: str, task: str, details: bytes) -> bool:
        """See `Store`."""
        return await self._writer.submit(_tasks.note_progress, _tasks.Progress(session, task, details))

    # --- the owner of a lease

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """See `Store`."""
        return await self._reader.submit(_streams.read_inboxes, (tuple(reads), limit))

    async def read_dues(self, lease: Lease, *, until_ms: int, limit: int) -> list[Due]:
        """See `Store`."""
        return await self._reader.submit(_streams.read_dues, (lease, until_ms, limit))

    async def read_outgoing(self, lease: Lease, *, limit: int) -> list[Outgoing]:
        """See `Store`."""
        return await self._reader.submit(_streams.read_outgoing, (lease, limit))

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """See `Store`."""
        check_commits(commits)
        return await self._writer.submit(commit, tuple(commits))

    # --- waiting

    def watch(self, topics: Iterable[str]) -> Watch:
        """See `Store`. What other processes commit wakes every watch, within some 10 ms."""
        return self._topics.watch(topics, self._clock)


class SqliteInspect:
    """See `Inspect`."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, options: Options) -> None:
        self._writer, self._reader, self._clock, self._options = writer, reader, clock, options

    async def documents(self, filter: DocumentFilter, *, limit: int) -> list[tuple[int, Document]]:  # noqa: A002
        """See `Inspect`."""
        return await self._reader.submit(_inspect.documents, (filter, limit))

    async def count_documents(
        self,
        filter: DocumentFilter,  # noqa: A002
        *,
        by: Literal["state", "kind", "inbox"] = "state",
    ) -> dict[str, int]:
        """See `Inspect`."""
        counted_field(by)
        return await self._reader.submit(_inspect.count_documents, (filter, by))

    async def tasks(
        self, *, queue: str | None = None, name: str | None = None, parked: bool | None = None, limit: int = 100
    ) -> list[TaskInfo]:
        """See `Inspect`."""
        return await self._reader.submit(_inspect.tasks, _inspect.TaskFilter(queue, name, parked, limit))

    async def release_parked(self, ids: Sequence[str]) -> int:
        """See `Inspect`."""
        return await self._writer.submit(_inspect.release_parked, tuple(ids))

    async def discard_parked(self, ids: Sequence[str], entries: Sequence[Entry]) -> int:
        """See `Inspect`."""
        if len(ids) != len(entries):
            raise ValueError(f"expected an entry for each of {len(ids)} tasks, got {len(entries)}")
        return await self._writer.submit(_inspect.discard_parked, _inspect.Discarding(tuple(ids), tuple(entries)))

    async def counts(self) -> dict[str, int]:
        """See `Inspect`."""
        return await self._reader.submit(_inspect.counts, self._clock.now_ms())

    async def checks(self) -> list[Finding]:
        """See `durable.stores.checks_of`: the file's schema, soundness and size, and the disk."""
        return await asyncio.to_thread(_upkeep.checks, self._options, self._clock)

    async def compact(self) -> Space:
        """See `durable.stores.compact`."""
        return await asyncio.to_thread(_upkeep.compact, self._options, self._clock)
