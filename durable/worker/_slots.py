"""How many activities may run at once: all together, and in threads and processes each."""

import asyncio
from typing import Literal

Mode = Literal["async", "thread", "process"]


class Slots:
    """Counts free slots. A slot is taken before a task is claimed, so that nothing is claimed that cannot run now.

    Belongs to one event loop. `freed` is set whenever a slot comes back.
    """

    def __init__(self, total: int, *, threads: int, processes: int) -> None:
        self.free = total
        self.freed = asyncio.Event()
        self._pools: dict[Mode, int] = {
            "thread": threads,
            "process": processes,
        }  # free ones; "async" has the total only
        self._reserved = 0
        self._pooled: dict[Mode, int] = {"thread": 0, "process": 0}  # of `_reserved`: at most so many are of this mode

    def free_of(self, mode: Mode) -> int:
        """Return how many activities of `mode` could start now."""
        return self.free if mode == "async" else min(self.free, self._pools[mode])

    def take(self, mode: Mode, count: int = 1) -> None:
        """Take `count` slots that are known to be free."""
        self.free -= count
        if mode != "async":
            self._pools[mode] -= count

    def give(self, mode: Mode, count: int = 1) -> None:
        """Give `count` slots back."""
        self.free += count
        if mode != "async":
            self._pools[mode] += count
        if not self.freed.is_set():
            self.freed.set()

    def reserve(self, mode: Mode) -> bool:
        """Take a slot for a task that may yet be refused; False if there is none. `confirm` or `unreserve` follows."""
        if self.free <= 0:
            return False
        if mode != "async":
            if self._pools[mode] <= 0:
                return False
            self._pools[mode] -= 1
            self._pooled[mode] += 1
        self.free -= 1
        self._reserved += 1
        return True

    def confirm(self, mode: Mode) -> None:
        """A reserved slot of `mode` is taken for good, until `give`."""
        self._reserved -= 1
        if mode != "async":
            self._pooled[mode] -= 1
        self._release_excess()

    def unreserve(self) -> None:
        """Give a reserved slot back. Of which mode it was is not known: its pool gets it back as soon as that is certain."""
        self._reserved -= 1
        self.free += 1
        self._release_excess()
        self.freed.set()

    def _release_excess(self) -> None:
        """Of a mode no more can be reserved than of all modes together."""
        for mode, count in self._pooled.items():
            if count > self._reserved:
                self._pooled[mode] = self._reserved
                self._pools[mode] += count - self._reserved
                self.freed.set()
