"""A memory store whose answers can be lost: calls that are applied, or not, and raise `StoreUnavailableError` all the same."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from durable._clock import Clock, SystemClock
from durable.errors import StoreUnavailableError
from durable.stores import ClaimedTask, Document, Entry, Lease, Renewal
from durable.stores.memory import MemoryStore, State


class FaultyStore(MemoryStore):
    """`lose["complete"] = 2`: the next two calls are applied, and their answers lost; `refuse`: they are not even applied."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(State(4), clock or SystemClock(), "memory:")
        self.lose: Counter[str] = Counter()
        self.refuse: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def _before(self, name: str) -> None:
        self.calls[name] += 1
        if self.refuse[name] > 0:
            self.refuse[name] -= 1
            raise StoreUnavailableError(f"{name}: not applied")

    def _after(self, name: str) -> None:
        if self.lose[name] > 0:
            self.lose[name] -= 1
            raise StoreUnavailableError(f"{name}: applied, and its answer lost")

    async def complete(self, session: str, claimed: ClaimedTask, entry: Entry) -> None:
        self._before("complete")
        await super().complete(session, claimed, entry)
        self._after("complete")

    async def claim(self, session: str, queue: str, kinds: Sequence[str], limit: int) -> list[ClaimedTask]:
        self._before("claim")
        return await super().claim(session, queue, kinds, limit)

    async def create(
        self, partition: int, document: Document, entries: Sequence[Entry], *, latest: str | None = None
    ) -> Document:
        self._before("create")
        created = await super().create(partition, document, entries, latest=latest)
        self._after("create")
        return created

    async def send(self, partition: int, entry: Entry, **options: Any) -> Document:
        self._before("send")
        document = await super().send(partition, entry, **options)
        self._after("send")
        return document

    async def read_last(self, partition: int, stream: str) -> tuple[int, bytes] | None:
        self._before("read_last")
        return await super().read_last(partition, stream)

    async def end_session(self, id: str) -> None:
        self._before("end_session")
        await super().end_session(id)

    def renew(self, session: str, ttl_ms: int, leases: Sequence[Lease], tasks: Sequence[str]) -> Renewal:
        self._before("renew")
        return super().renew(session, ttl_ms, leases, tasks)
