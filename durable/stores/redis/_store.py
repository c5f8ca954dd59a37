"""The Redis store: each method hands its call to the part that knows it."""

from collections.abc import Iterable, Sequence

from ..._clock import Clock
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
)
from .._rules import check_commits, check_new
from . import _commit, _documents, _leases, _streams, _tasks
from ._clients import closed_error
from ._inspect import RedisInspect
from ._namespace import Namespace
from ._options import Options


class RedisStore:
    """A handle on a namespace. What it acknowledged is on the server, to the degree that its persistence says."""

    def __init__(self, namespace: Namespace, options: Options) -> None:
        self._namespace, self._shown = namespace, options.shown
        self._closed = False
        self._inbox = ""  # where the last document that was sent to takes its entries: most take them at one place
        self._inspect = RedisInspect(self._open, options)

    def _open(self) -> Namespace:
        if self._closed:
            raise closed_error(self._shown)
        return self._namespace

    @property
    def partitions(self) -> int:
        """See `Store`."""
        return self._namespace.partitions

    @property
    def clock(self) -> Clock:
        """See `Store`."""
        return self._namespace.clock

    @property
    def url(self) -> str:
        """See `Store`."""
        return self._shown

    @property
    def inspect(self) -> Inspect:
        """See `Store`."""
        return self._inspect

    def now_ms(self) -> int:
        """See `Store`. The server's clock, as it was heard last."""
        return self._namespace.now_ms()

    async def close(self) -> None:
        """See `Store`."""
        if not self._closed:
            self._closed = True
            await self._namespace.close()

    # --- documents and their inboxes

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`."""
        check_new(document)
        return await _documents.create(self._open(), partition, document, entries, latest)

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """See `Store`."""
        guess = self._inbox
        found = await _documents.send(self._open(), partition, entry, id=id, closed_too=closed_too, inbox=guess)
        self._inbox = found.inbox
        return found

    async def document(self, partition: int, *, id: str | None = None, name: str | None = None) -> Document | None:  # noqa: A002
        """See `Store`."""
        if (id is None) == (name is None):
            raise ValueError(f"expected either id or name, got id={id!r}, name={name!r}")
        namespace = await self._settled()
        if id is not None:
            return await _documents.find(namespace, partition, "id", id)
        return await _documents.find(namespace, partition, "name", name or "")

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """See `Store`."""
        return await _streams.read(await self._settled(), partition, stream, after, limit)

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """See `Store`."""
        return await _streams.read_last(await self._settled(), partition, stream)

    async def read_closed(
        self, partition: int, *, before_ms: int, after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[Document]:
        """See `Store`."""
        return await _documents.read_closed(await self._settled(), partition, before_ms, after, limit)

    async def take_reply(self, partition: int, id: str) -> bytes | None:  # noqa: A002
        """See `Store`."""
        namespace = await self._settled()
        answer: bytes | None = await namespace.ask("take_reply", namespace.of(partition), (id,))
        return answer

    async def _settled(self) -> Namespace:
        namespace = self._open()
        await namespace.notifier.settled()
        return namespace

    # --- sessions, leases, claims

    async def begin_session(self, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
        """See `Store`."""
        await _leases.begin_session(self._open(), id, group, data, ttl_ms)

    async def end_session(self, id: str) -> None:  # noqa: A002
        """See `Store`."""
        await _leases.end_session(self._open(), id)

    async def sessions(self, group: str) -> list[SessionInfo]:
        """See `Store`."""
        return await _leases.sessions(self._open(), group)

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        """See `Store`."""
        return _leases.renew(self._open(), session, ttl_ms, leases, tasks)

    async def acquire(self, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
        """See `Store`."""
        return await _leases.acquire(await self._settled(), session, inbox, partitions)

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store`."""
        await _leases.release(self._open(), leases)

    async def holders(self, inbox: str) -> dict[int, str]:
        """See `Store`."""
        return await _leases.holders(await self._settled(), inbox)

    async def last_commits(self, leases: Sequence[Lease]) -> list[str | None]:
        """See `Store`."""
        return await _leases.last_commits(self._open(), leases)

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """See `Store`. A claim whose answer was lost is held by the session all the same: `Inspect.tasks` shows it."""
        return await _tasks.claim(await self._settled(), session, queue, kinds, limit)

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """See `Store`."""
        await _tasks.complete(self._open(), session, claimed, entry)

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        """See `Store`."""
        await _tasks.unclaim(self._open(), session, tasks)

    async def note_progress(self, session: str, task: str, details: bytes) -> bool:
        """See `Store`."""
        return await _tasks.note_progress(self._open(), session, task, details)

    # --- the owner of a lease

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """See `Store`."""
        return await _streams.read_inboxes(await self._settled(), reads, limit)

    async def read_dues(self, lease: Lease, *, until_ms: int, limit: int) -> list[Due]:
        """See `Store`."""
        return await _streams.read_dues(self._open(), lease, until_ms, limit)

    async def read_outgoing(self, lease: Lease, *, limit: int) -> list[Outgoing]:
        """See `Store`."""
        return await _streams.read_outgoing(self._open(), lease, limit)

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """See `Store`."""
        check_commits(commits)
        return await _commit.commit(self._open(), commits)

    # --- waiting

    def watch(self, topics: Iterable[str]) -> Watch:
        """See `Store`. What other processes commit is told through the server, within a millisecond or so."""
        namespace = self._open()
        return namespace.notifier.watch(topics, namespace.clock)
