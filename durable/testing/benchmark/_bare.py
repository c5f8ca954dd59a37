"""The floor: the same rows or entries written with nothing around them, in batches of 100 or one call after the other."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Protocol

from ...stores import Document
from ._calls import Calls, Row, Write, writes_of

BATCH = 100  # rows of SQLite in a transaction, commands of Redis in a round trip: a group commit of many runs at once


class Bare(Protocol):
    """Writes what was recorded to a store of the same kind, in a place of its own that is gone afterwards."""

    def seconds(self, calls: Calls, *, singly: bool) -> float:
        """Return how long it took to write `calls` in batches of `BATCH`, or `singly`, each call on its own."""
        ...


def groups(calls: Calls) -> Iterator[list[Write]]:
    """Yield the writes of each call that writes anything."""
    documents: dict[str, Document] = {}
    for call in calls.made:
        writes = writes_of(call, calls.numbers, documents)
        if writes:
            yield writes


def flat(nested: Iterable[list[Write]]) -> list[Write]:
    """Return all writes in one list."""
    return [write for writes in nested for write in writes]


class BareMemory:
    """Dicts: what the memory store is made of."""

    def __init__(self, monotonic: "Monotonic") -> None:
        self._monotonic = monotonic

    def seconds(self, calls: Calls, *, singly: bool) -> float:
        """See `Bare`. There is nothing that a batch would save."""
        writes = [_keyed(*write) for write in flat(groups(calls))]
        kept: dict[str, dict[Hashable, object]] = defaultdict(dict)
        began = self._monotonic()
        for kind, key, value in writes:
            if value is None:
                kept[kind].pop(key, None)
            else:
                kept[kind][key] = value
        return self._monotonic() - began


def _keyed(kind: str, row: Row) -> tuple[str, Hashable, object]:
    """Return which dict a write is for, the key, and the value: None removes."""
    if kind.endswith((" read", " done")):
        return kind.rpartition(" ")[0], row[1:], None
    last: Any = row[-1]
    match kind:
        case "document" | "task" | "reply":
            return kind, (last.id,), last
        case "due":
            return kind, (row[1], last.key), last
        case "updated":
            return "document", (row[1].id,), row[1]
        case "claimed":
            return kind, (row[1],), last
        case _:
            return kind, row[1:3], last


class Monotonic(Protocol):
    """See `Clock.monotonic`."""

    def __call__(self) -> float:
        """Return seconds that never go back."""
        ...
