"""The execution cache: live runs, least recently used out first. Its size changes speed and nothing else."""

from __future__ import annotations

from collections import OrderedDict

from .execution import Execution


class ExecutionCache:
    """Executions by workflow id. One that is in use is taken out, and put back afterwards."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[str, tuple[int, Execution]] = OrderedDict()

    def take(self, name: str) -> Execution | None:
        """Return the execution and forget it here."""
        item = self._items.pop(name, None)
        return None if item is None else item[1]

    def put(self, name: str, partition: int, execution: Execution) -> None:
        """Keep `execution`, as the most recently used; drop the oldest above the size."""
        if self._size <= 0:
            execution.dispose()
            return
        self._items[name] = (partition, execution)
        while len(self._items) > self._size:
            _, (_, oldest) = self._items.popitem(last=False)
            oldest.dispose()

    def drop_partition(self, partition: int) -> None:
        """Drop all executions of `partition`."""
        for name in [name for name, (owner, _) in self._items.items() if owner == partition]:
            self._items.pop(name)[1].dispose()

    def clear(self) -> None:
        """Drop everything."""
        for _, execution in self._items.values():
            execution.dispose()
        self._items.clear()

    def __len__(self) -> int:
        return len(self._items)
