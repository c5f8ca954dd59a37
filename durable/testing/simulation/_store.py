"""A store as a simulated process sees it: the memory store behind calls that are slow, fail, repeat, and may be the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import Protocol, TypeVar

from ...errors import DurableError, StoreError, StoreUnavailableError
from ...stores import (
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
    Reply,
    SessionInfo,
    Watch,
)
from ...stores.memory import MemoryStore
from ._chaos import Chaos
from ._clock import SimulatedClock
from ._loop import Process

T = TypeVar("T")

__all__ = ["FaultyStore", "Reply", "StoreWorld"]


class StoreWorld(Protocol):
    """Who decides on faults, and hears what was done."""

    @property
    def chaos(self) -> Chaos:
        """What goes wrong now."""
        ...

    def note(self, process: Process, what: str, data: bytes = b"") -> None:
        """Write a line of the trace."""
        ...

    def count(self, what: str) -> None:
        """Count something for the report."""
        ...

    def crash(self, process: Process, why: str) -> None:
        """Kill `process`."""
        ...

    def run_later(self, delay_s: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do `work` later, whatever becomes of the process that asked for it."""
        ...

    def before_commit(self, commits: Sequence[Commit]) -> None:
        """These commits are about to be applied or refused."""
        ...

    def after_commit(self, process: Process, commits: Sequence[Commit], answers: Sequence[Exception | None]) -> None:
        """They were."""
        ...

    def acquired(self, leases: Sequence[Lease]) -> None:
        """These leases were given out."""
        ...

    def arrives(self, entry: Entry) -> None:
        """This entry comes to an inbox now."""
        ...


class FaultyStore:
    """A handle on the one memory store of a simulation, for one process. Implements `Store`; `clock` is the process's own."""

    def __init__(
        self, real: MemoryStore, process: Process, clock: SimulatedClock, chance: Random, world: StoreWorld
    ) -> None:
        self._real, self._process, self._clock, self._chance, self._world = real, process, clock, chance, world

    @property
    def partitions(self) -> int:
        """See `Store`."""
        return self._real.partitions

    @property
    def clock(self) -> SimulatedClock:
        """See `Store`."""
        return self._clock

    @property
    def url(self) -> str:
        """See `Store`."""
        return self._real.url

    @property
    def inspect(self) -> Inspect:
        """See `Store`. What people look at does not fail."""
        return self._real.inspect

    def now_ms(self) -> int:
        """See `Store`."""
        return self._real.now_ms()

    async def close(self) -> None:
        """Nothing is to be let go of: other processes use the same store."""

    # --- how a call goes

    async def _call(self, name: str, apply: Callable[[], Awaitable[T]], *, data: bytes = b"") -> T:
        world, process = self._world, self._process
        await self._travel()
        chaos, draw = world.chaos, self._chance.random()
        for fate in ("crash_before", "lost_before", "crash_after", "lost_after", ""):
            draw -= getattr(chaos, fate) if fate else 1.0
            if draw < 0:
                break
        else:
            fate = ""
        world.note(process, f"{name} {fate}".rstrip(), data)
        if fate == "crash_before":
            await self._die(name)
        if fate == "lost_before":
            world.count("lost_before")
            raise StoreUnavailableError(f"{name}: the connection was lost before the call arrived")
        try:
            result = await apply()
        except StoreError as error:
            world.note(process, f"{name} refused: {type(error).__name__}")
            raise
        finally:
            if fate == "crash_after":
                await self._die(name)
        await self._travel()
        if fate == "lost_after":
            world.count("lost_after")
            raise StoreUnavailableError(f"{name}: the connection was lost, the outcome is unknown")
        return result

    async def _travel(self) -> None:
        longest = self._world.chaos.delay_s_max
        if longest:
            draw = self._chance.random()
            await asyncio.sleep(longest * draw**3 if draw > 0.2 else 0)  # most calls are fast, a few are slow

    async def _die(self, name: str) -> None:
        self._world.crash(self._process, f"in {name}")
        if self._process.alive:  # clients do not die: what they are told is what is checked
            raise StoreUnavailableError(f"{name}: the connection was lost, the outcome is unknown")
        await asyncio.get_running_loop().create_future()  # nothing of this process runs any more

    # --- documents and their inboxes

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        """See `Store`."""
        data = b"\n".join(entry.data for entry in entries)
        return await self._call(
            "create", lambda: self._real.create(partition, document, entries, latest=latest), data=data
        )

    async def send(self, partition: int, entry: Entry, *, id: str | None = None, closed_too: bool = False) -> Document:  # noqa: A002
        """See `Store`."""

        def apply() -> Awaitable[Document]:
            self._world.arrives(entry)
            return self._real.send(partition, entry, id=id, closed_too=closed_too)

        async def again() -> None:
            try:
                await apply()
                self._world.count("repeated_sends")
            except DurableError:
                pass  # nobody waits for the answer

        document = await self._call("send", apply, data=entry.data)
        if id is not None and self._chance.random() < self._world.chaos.repeat:
            self._world.run_later(self._chance.random() * 10, again)
        return document

    async def document(self, partition: int, *, id: str | None = None, name: str | None = None) -> Document | None:  # noqa: A002
        """See `Store`."""
        return await self._call("document", lambda: self._real.document(partition, id=id, name=name))

    async def read(self, partition: int, stream: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """See `Store`."""
        if after == 0:
            self._world.count("histories_read")
        return await self._call("read", lambda: self._real.read(partition, stream, after=after, limit=limit))

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        """See `Store`."""
        return await self._call("read_last", lambda: self._real.read_last(partition, stream))

    async def read_closed(
        self, partition: int, *, before_ms: int, after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[Document]:
        """See `Store`."""
        real = self._real
        return await self._call(
            "read_closed", lambda: real.read_closed(partition, before_ms=before_ms, after=after, limit=limit)
        )

    async def take_reply(self, partition: int, id: str) -> bytes | None:  # noqa: A002
        """See `Store`."""
        return await self._call("take_reply", lambda: self._real.take_reply(partition, id))

    # --- sessions, leases, claims

    async def begin_session(self, id: str, group: str, data: bytes, ttl_ms: int) -> None:  # noqa: A002
        """See `Store`."""
        await self._call("begin_session", lambda: self._real.begin_session(id, group, data, ttl_ms))

    async def end_session(self, id: str) -> None:  # noqa: A002
        """See `Store`."""
        await self._call("end_session", lambda: self._real.end_session(id))

    async def sessions(self, group: str) -> list[SessionInfo]:
        """See `Store`."""
        return await self._call("sessions", lambda: self._real.sessions(group))

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        """See `Store`."""
        chaos, draw = self._world.chaos, self._chance.random()
        if draw < chaos.lost_before:
            raise StoreUnavailableError("renew: the connection was lost before the call arrived")
        renewal = self._real.renew(session, ttl_ms, leases, tasks)
        self._world.note(self._process, "renew")
        if draw > 1 - chaos.lost_after:
            raise StoreUnavailableError("renew: the connection was lost, the outcome is unknown")
        return renewal

    async def acquire(self, session: str, inbox: str, partitions: Sequence[int]) -> list[Lease]:
        """See `Store`."""

        async def apply() -> list[Lease]:
            leases = await self._real.acquire(session, inbox, partitions)
            self._world.acquired(leases)
            return leases

        return await self._call("acquire", apply)

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store`."""
        await self._call("release", lambda: self._real.release(leases))

    async def holders(self, inbox: str) -> dict[int, str]:
        """See `Store`."""
        return await self._call("holders", lambda: self._real.holders(inbox))

    async def last_commits(self, leases: Sequence[Lease]) -> list[str | None]:
        """See `Store`."""
        return await self._call("last_commits", lambda: self._real.last_commits(leases))

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        """See `Store`."""
        return await self._call("claim", lambda: self._real.claim(session, queue, kinds, limit))

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        """See `Store`."""
        await self._call("complete", lambda: self._real.complete(session, claimed, entry), data=entry.data)

    async def unclaim(self, session: str, tasks: Sequence[str]) -> None:
        """See `Store`."""
        await self._call("unclaim", lambda: self._real.unclaim(session, tasks))

    async def note_progress(self, session: str, task: str, details: bytes) -> bool:
        """See `Store`."""
        return await self._call("note_progress", lambda: self._real.note_progress(session, task, details))

    # --- the owner of a lease

    async def read_inboxes(self, reads: Sequence[tuple[Lease, int]], limit: int) -> list[list[InboxEntry]]:
        """See `Store`."""
        return await self._call("read_inboxes", lambda: self._real.read_inboxes(reads, limit))

    async def read_dues(self, lease: Lease, *, until_ms: int, limit: int) -> list[Due]:
        """See `Store`."""
        return await self._call("read_dues", lambda: self._real.read_dues(lease, until_ms=until_ms, limit=limit))

    async def read_outgoing(self, lease: Lease, *, limit: int) -> list[Outgoing]:
        """See `Store`."""
        return await self._call("read_outgoing", lambda: self._real.read_outgoing(lease, limit=limit))

    async def commit(self, commits: Sequence[Commit]) -> list[Exception | None]:
        """See `Store`."""
        world, process = self._world, self._process

        async def apply() -> list[Exception | None]:
            world.before_commit(commits)
            answers = await self._real.commit(commits)
            world.after_commit(process, commits, answers)
            return answers

        written = b"\n".join(record for commit in commits for append in commit.appends for record in append.records)
        return await self._call("commit", apply, data=written)

    # --- waiting

    def watch(self, topics: Iterable[str]) -> Watch:
        """See `Store`."""
        return self._real.watch(topics)
