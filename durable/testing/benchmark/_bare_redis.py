"""The floor on Redis: a bare connection of redis-py writes the same entries into keys of the same types, in transactions of one round trip."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec

from ...stores import Document, DocumentUpdate, Entry, Task
from ...stores.redis._lane import Argument, pack
from ...stores.redis._tasks import net, written_task
from ._bare import BATCH, Monotonic, flat, groups
from ._calls import Calls, Write

Command = tuple[Argument, ...]


class BareRedis:
    """See `Bare`. `connected` returns a new connection, and `drop` removes all keys with a certain beginning."""

    def __init__(
        self, connected: Callable[[], Any], name: str, monotonic: Monotonic, drop: Callable[[str], None]
    ) -> None:
        self._connected, self._name, self._monotonic, self._drop = connected, name, monotonic, drop
        self._passes = count(1)

    def seconds(self, calls: Calls, *, singly: bool) -> float:
        """See `Bare`."""
        prefix = f"{{{self._name}-bare{next(self._passes)}"
        commands_of = _Commands(prefix).of
        if singly:
            batches = [commands_of(writes) for writes in groups(calls)]
        else:
            commands = commands_of(flat(groups(calls)))
            batches = [commands[first : first + BATCH] for first in range(0, len(commands), BATCH)]
        connection = self._connected()
        gc.collect()
        gc.freeze()  # what was recorded is many objects, which are no part of the work
        try:
            began = self._monotonic()
            for batch in batches:
                _transaction(connection, batch)
            return self._monotonic() - began
        finally:
            gc.unfreeze()
            connection.disconnect()
            self._drop(prefix)


def _transaction(connection: Any, batch: Sequence[Command]) -> None:
    connection.send_packed_command([pack(("MULTI",)), *map(pack, batch), pack(("EXEC",))], check_health=False)
    for _ in range(len(batch) + 1):
        connection.read_response()
    for each in connection.read_response():
        if isinstance(each, Exception):
            raise each


class _Commands:
    """Turns writes into commands, and remembers where it put what is removed later."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count(1)
        self._entries: dict[tuple[Any, ...], tuple[int, Entry]] = {}  # by partition, inbox and recorded number
        self._held: dict[str, tuple[str, str]] = {}  # by task: the sorted set and its member

    def of(self, writes: Iterable[Write]) -> list[Command]:
        """Return the commands of some writes, in order."""
        return [command for kind, row in writes for command in self._of(kind, row, f"{self._prefix}:{row[0]}}}:")]

    def _of(self, kind: str, row: tuple[Any, ...], at: str) -> Iterable[Command]:
        last = row[-1]
        match kind:
            case "document":
                return _document(at, last)
            case "updated":
                return _update(at, row[1], last)
            case "entry":
                return self._entry(at, row[:3], last)
            case "entry read":
                return self._entry_read(at, row)
            case "record":
                return [("RPUSH", f"{at}history:{row[1]}", last)]
            case "task":
                return self._task(at, last)
            case "claimed":
                return self._claimed(at, row[1], last)
            case "task done":
                return self._task_done(at, last)
            case "due":
                return [
                    ("ZADD", f"{at}dues:{row[1]}", last.due_ms, last.key),
                    ("HSET", f"{at}due_data:{row[1]}", last.key, last.data),
                ]
            case "due done":
                return [("ZREM", f"{at}dues:{row[1]}", last), ("HDEL", f"{at}due_data:{row[1]}", last)]
            case _:
                return [
                    ("ZADD", f"{at}reply_expiry", last.ttl_ms, last.id),
                    ("HSET", f"{at}replies", last.id, last.data),
                ]

    def _entry(self, at: str, key: tuple[Any, ...], entry: Entry) -> Iterator[Command]:
        number, inbox = next(self._numbers), key[1]
        self._entries[key] = (number, entry)
        yield ("XADD", f"{at}inbox:{inbox}", f"{number}-0", "i", entry.id, "n", entry.name, "d", entry.data)
        yield ("HSET", f"{at}entries", entry.id, number)
        yield ("HINCRBY", f"{at}waiting", net(inbox) + entry.name, 1)

    def _entry_read(self, at: str, key: tuple[Any, ...]) -> Iterator[Command]:
        if key in self._entries:
            number, entry = self._entries.pop(key)
            yield ("XDEL", f"{at}inbox:{key[1]}", f"{number}-0")
            yield ("HDEL", f"{at}entries", entry.id)
            yield ("HINCRBY", f"{at}waiting", net(key[1]) + entry.name, -1)

    def _task(self, at: str, task: Task) -> Iterator[Command]:
        _, data, *texts = written_task(task)
        head, route, owner = map(str, texts)
        place = f"{route}{next(self._numbers):016d}{task.id}"
        held = (f"{at}ready", place) if task.claimed_by is None else (f"{at}held", f"{owner}{place}")
        self._held[task.id] = held
        yield ("HSET", f"{at}tasks", task.id, data)
        yield ("HSET", f"{at}states", task.id, f"{head}{place}")
        yield ("ZADD", held[0], 0, held[1])

    def _claimed(self, at: str, id_: str, session: str) -> Iterator[Command]:
        if id_ in self._held:
            key, place = self._held[id_]
            held = self._held[id_] = (f"{at}held", net(session) + place)
            yield ("ZREM", key, place)
            yield ("HSET", f"{at}states", id_, held[1])
            yield ("ZADD", held[0], 0, held[1])

    def _task_done(self, at: str, id_: str) -> Iterator[Command]:
        if id_ in self._held:
            yield ("ZREM", *self._held.pop(id_))
            yield ("HDEL", f"{at}tasks", id_)
            yield ("HDEL", f"{at}states", id_)


def _head(document: Document, state: str) -> bytes:
    return msgspec.msgpack.encode(
        (document.name, document.inbox, document.request, document.kind, state, str(document.created_ms), 1, "", "")
    )


def _document(at: str, document: Document) -> Iterator[Command]:
    id_, name = document.id, document.name
    yield ("HSET", f"{at}documents", id_, _head(document, document.state))
    yield ("HSET", f"{at}bodies", id_, document.body)
    yield ("HSET", f"{at}open", name, id_)
    yield ("HSET", f"{at}latest", name, id_)
    yield ("ZADD", f"{at}by_id", 0, id_)
    yield ("ZADD", f"{at}names", 0, net(name) + id_)


def _update(at: str, update: DocumentUpdate, document: Document | None) -> Iterator[Command]:
    if document is not None:
        yield ("HSET", f"{at}documents", update.id, _head(document, update.state or document.state))
    if update.body is not None:
        yield ("HSET", f"{at}bodies", update.id, update.body)
    if update.closes:
        yield ("HDEL", f"{at}open", update.name)
