"""What people look at in a memory store."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from ..._clock import Clock
from .._protocol import Document, DocumentFilter, Entry, TaskInfo, tasks_topic
from .._rules import counted_field, matches
from ._state import State, TaskRow


class MemoryInspect:
    """See `Inspect`."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock

    def _matching(self, wanted: DocumentFilter) -> list[tuple[int, Document]]:
        everywhere = enumerate(self._state.partitions)
        return [
            (number, each) for number, here in everywhere for each in here.documents.values() if matches(each, wanted)
        ]

    async def documents(self, filter: DocumentFilter, *, limit: int) -> list[tuple[int, Document]]:  # noqa: A002
        """See `Inspect`."""
        with self._state.lock:
            found = self._matching(filter)
        return sorted(found, key=lambda each: (each[1].id, each[0]), reverse=True)[:limit]

    async def count_documents(
        self,
        filter: DocumentFilter,  # noqa: A002
        *,
        by: Literal["state", "kind", "inbox"] = "state",
    ) -> dict[str, int]:
        """See `Inspect`."""
        field = counted_field(by)
        with self._state.lock:
            return dict(Counter(field(document) for _, document in self._matching(filter)))

    async def tasks(
        self, *, queue: str | None = None, name: str | None = None, parked: bool | None = None, limit: int = 100
    ) -> list[TaskInfo]:
        """See `Inspect`."""

        def wanted(row: TaskRow) -> bool:
            return (
                (queue is None or row.task.queue == queue)
                and (name is None or row.task.name == name)
                and (parked is None or (row.parked is not None) == parked)
            )

        with self._state.lock:
            rows = sorted(filter(wanted, self._state.tasks.values()), key=lambda row: row.seq)[:limit]
            return [TaskInfo(row.partition, row.task, row.deliveries, row.owner, row.parked) for row in rows]

    async def release_parked(self, ids: Sequence[str]) -> int:
        """See `Inspect`."""
        released = set[str]()
        with self._state.lock:
            for id_ in ids:
                row = self._state.tasks.get(id_)
                if row is not None and row.parked is not None:
                    row.parked, row.deliveries = None, 0
                    self._state.make_ready(row)
                    released.add(id_)
            queues = {self._state.tasks[id_].task.queue for id_ in released}
        self._state.topics.touch(tasks_topic(queue) for queue in queues)
        return len(released)

    async def discard_parked(self, ids: Sequence[str], entries: Sequence[Entry]) -> int:
        """See `Inspect`."""
        discarded, touched = 0, set[str]()
        pairs = list(zip(ids, entries, strict=True))
        with self._state.lock:
            for id_, entry in pairs:
                row = self._state.tasks.get(id_)
                if row is not None and row.parked is not None:
                    self._state.remove_task(id_)
                    self._state.append_entry(row.partition, row.task.inbox, entry, touched, self._clock.now_ms())
                    discarded += 1
        self._state.topics.touch(touched)
        return discarded

    async def counts(self) -> dict[str, int]:
        """See `Inspect`."""
        state, now_ms = self._state, self._clock.now_ms()
        with state.lock:
            leases = [row.session for here in state.partitions for row in here.leases.values()]
            return {
                "inbox": sum(len(here.entry_ids) for here in state.partitions),
                "tasks": len(state.tasks),
                "dues": sum(len(dues) for here in state.partitions for dues in here.dues.values()),
                "outgoing": sum(len(sent) for here in state.partitions for sent in here.outgoing.values()),
                "documents": sum(len(here.documents) for here in state.partitions),
                "sessions": sum(state.is_alive(id_, now_ms) for id_ in state.sessions),
                "leases": sum(state.is_alive(session, now_ms) for session in leases),
                "records": sum(len(records) for here in state.partitions for records in here.streams.values()),
                "replies": sum(expires > now_ms for here in state.partitions for expires, _ in here.replies.values()),
            }
