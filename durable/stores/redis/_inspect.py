"""What people look at in Redis."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal, NamedTuple

from .._protocol import Document, DocumentFilter, Entry, Task, TaskInfo, inbox_topic
from .._rules import PARKED, counted_field, matches
from .._upkeep import Finding
from ._calls import Plain
from ._checks import checks
from ._documents import read_document
from ._keys import Keys
from ._lane import Argument
from ._namespace import Namespace
from ._options import Options
from ._tasks import by_partition, net, read_task

_PAGE = 500  # documents read by one script


class RedisInspect:
    """See `Inspect`."""

    def __init__(self, opened: Callable[[], Namespace], options: Options) -> None:
        self._opened, self._options = opened, options

    async def checks(self) -> list[Finding]:
        """Return what the servers say of themselves; see `checks_of`."""
        return await checks(self._opened(), self._options)

    async def documents(self, filter: DocumentFilter, *, limit: int) -> list[tuple[int, Document]]:  # noqa: A002
        """See `Inspect`."""
        found = list[tuple[int, Document]]()
        if limit <= 0:
            return found
        for keys in self._opened().keys:
            mine = 0
            async for document in self._matching(keys, filter, min(limit, _PAGE), bodies=True):
                found.append((keys.partition, document))
                mine += 1
                if mine >= limit:
                    break
        return sorted(found, key=lambda each: (each[1].id, each[0]), reverse=True)[:limit]

    async def count_documents(
        self,
        filter: DocumentFilter,  # noqa: A002
        *,
        by: Literal["state", "kind", "inbox"] = "state",
    ) -> dict[str, int]:
        """See `Inspect`."""
        field = counted_field(by)
        counts = Counter[str]()
        for keys in self._opened().keys:
            async for document in self._matching(keys, filter, _PAGE, bodies=False):
                counts[field(document)] += 1
        return dict(counts)

    async def _matching(
        self, keys: Keys, wanted: DocumentFilter, first: int, *, bodies: bool
    ) -> AsyncIterator[Document]:
        """Yield the documents of a partition that match, the greatest ids first."""
        index, prefix = ("by_id", "") if wanted.name is None else ("names", net(wanted.name))
        least = f"[{prefix}".encode() if prefix else b"-"
        greatest = b"(" + prefix.encode() + b"\xff" if prefix else b"+"  # no UTF-8 has this byte
        if wanted.before_id is not None:
            greatest = f"({prefix}{wanted.before_id}".encode()
        size, namespace = first, self._opened()
        while True:
            args = (index, greatest, least, size, "1" if bodies else "0")
            page = await namespace.ask("documents", keys, args, writes=False)
            for answer in page:
                if answer[1] is not None and matches(document := read_document(answer), wanted):
                    yield document
            if len(page) < size:
                return
            greatest = b"(" + prefix.encode() + page[-1][0]
            size = _PAGE

    async def tasks(
        self, *, queue: str | None = None, name: str | None = None, parked: bool | None = None, limit: int = 100
    ) -> list[TaskInfo]:
        """See `Inspect`."""
        namespace = self._opened()
        found: list[tuple[int, TaskInfo]] = []
        for keys in namespace.keys:
            states = [state for state in await _states(namespace, keys) if state.fits(queue, parked)]
            states.sort(key=lambda each: each.seq)
            mine = 0
            for start in range(0, len(states), _PAGE):
                some = states[start : start + _PAGE]
                command: list[Argument] = ["HMGET", keys.fixed["tasks"], *(state.id for state in some)]
                (written,) = await namespace.run([Plain(keys, command)])
                for state, each in zip(some, written, strict=True):
                    task = None if each is None else read_task(state.id, each)  # it may be gone by now
                    if task is not None and (name is None or task.name == name):
                        found.append((state.seq, state.info(keys.partition, task)))
                        mine += 1
                if mine >= limit:
                    break
        return [info for _, info in sorted(found, key=lambda each: (each[0], each[1].partition))][: max(limit, 0)]

    async def release_parked(self, ids: Sequence[str]) -> int:
        """See `Inspect`."""
        namespace = self._opened()
        calls = [
            namespace.call("release_parked", namespace.keys[partition], (partition, len(some), *some))
            for partition, some in by_partition(namespace, ids).items()
        ]
        count = 0
        for released, topics in await namespace.run(calls):
            count += released
            namespace.touch(topics)
        return count

    async def discard_parked(self, ids: Sequence[str], entries: Sequence[Entry]) -> int:
        """See `Inspect`."""
        if len(ids) != len(entries):
            raise ValueError(f"expected an entry for each of {len(ids)} tasks, got {len(entries)}")
        namespace, count = self._opened(), 0
        for id_, entry in zip(ids, entries, strict=True):
            places = [namespace.keys[partition] for partition in by_partition(namespace, [id_])]
            states = await namespace.run([Plain(keys, ("HGET", keys.fixed["states"], id_)) for keys in places])
            for keys, written in zip(places, states, strict=True):
                if written is None:
                    continue
                inbox = _state(id_.encode(), written).inbox
                topic = inbox_topic(keys.partition, inbox)
                args = (id_, inbox, entry.id, entry.name, entry.data, topic)
                if await namespace.ask("discard_parked", keys, args, keys=[keys.inbox(inbox)]):
                    count += 1
                    namespace.touch([topic])
        return count

    async def counts(self) -> dict[str, int]:
        """See `Inspect`."""
        namespace = self._opened()
        names = ("inbox", "tasks", "documents", "sessions", "leases", "records", "replies")
        total: dict[str, int] = dict.fromkeys((*names, "dues", "outgoing"), 0)
        calls = [namespace.call("counts", keys, writes=False) for keys in namespace.keys]
        more: list[tuple[str, Plain]] = []
        for keys, answer in zip(namespace.keys, await namespace.run(calls), strict=True):
            for name, count in zip(names, answer, strict=False):
                total[name] += count if name != "sessions" or keys.partition == 0 else 0
            for inbox in answer[len(names)]:
                text = inbox.decode()
                more.append(("dues", Plain(keys, ("ZCARD", keys.dues(text)[0]))))
                more.append(("outgoing", Plain(keys, ("ZCARD", keys.outgoing(text)[0]))))
        for (name, _), count in zip(more, await namespace.run([plain for _, plain in more]), strict=True):
            total[name] += count
        return total


class _State(NamedTuple):
    """What `states` says of a task (see `_tasks.lua`)."""

    id: bytes
    seq: int
    deliveries: int
    parked: bool
    inbox: str
    owner: str
    queue: str

    def fits(self, queue: str | None, parked: bool | None) -> bool:
        return (queue is None or self.queue == queue) and (parked is None or self.parked == parked)

    def info(self, partition: int, task: Task) -> TaskInfo:
        return TaskInfo(partition, task, self.deliveries, self.owner or None, PARKED if self.parked else None)


def _split(text: bytes, at: int) -> tuple[str, int]:
    colon = text.index(b":", at)
    end = colon + 1 + int(text[at:colon])
    return text[colon + 1 : end].decode(), end


def _state(id: bytes, written: bytes) -> _State:  # noqa: A002
    inbox, at = _split(written, 4)
    owner, at = _split(written, at)
    queue, at = _split(written, at)
    _, at = _split(written, at)
    return _State(id, int(written[at : at + 16]), int(written[:2]), written[3:4] == b"1", inbox, owner, queue)


async def _states(namespace: Namespace, keys: Keys) -> list[_State]:
    """Return the states of all tasks of a partition."""
    found: dict[bytes, bytes] = {}
    cursor: Any = 0
    while True:
        ((cursor, page),) = await namespace.run([Plain(keys, ("HSCAN", keys.fixed["states"], cursor, "COUNT", 1000))])
        found.update(zip(page[::2], page[1::2], strict=True))
        if int(cursor) == 0:
            return [_state(id_, written) for id_, written in found.items()]
