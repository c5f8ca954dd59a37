"""How many activities may run at once: all together, and in threads and processes each."""

import asyncio
from typing import Literal

Mode = Literal["async", "thread", "process"]


class Slots:
    """Counts free slots. A slot is taken before a task is claimed, so that nothing is claimed that cannot run now.

    Belongs to one event loop. `freed` is set whenever a slot comes back.
    """

    def __init__(self, total: int, *, threads: int, processes: int) -> None:
        self.total = total
        self.free = total
        self.freed = asyncio.Event()
        self._pools: dict[Mode, int] = {"async": total, "thread": threads, "process": processes}
        self._reserved = 0
        self._reserved_of: dict[Mode, int] = {"async": 0, "thread": 0, "process": 0}

    def free_of(self, mode: Mode) -> int:
        """Return how many activities of `mode` could start now."""
        return min(self.free, self._pools[mode])

    def take(self, mode: Mode, count: int = 1) -> None:
        """Take `count` slots that are known to be free."""
        self.free -= count
        self._pools[mode] -= count

    def give(self, mode: Mode, count: int = 1) -> None:
        """Give `count` slots back."""
        self.free += count
        self._pools[mode] += count
        if not self.freed.is_set():
            self.freed.set()

    def reserve(self, mode: Mode) -> bool:
        """Take a slot for a task that may yet be refused; False if there is none. `confirm` or `unreserve` follows."""
        if self.free <= 0 or self._pools[mode] <= 0:
            return False
        self.free -= 1
        self._pools[mode] -= 1
        self._reserved += 1
        self._reserved_of[mode] += 1
        return True

    def confirm(self, mode: Mode) -> None:
        """A reserved slot of `mode` is taken for good, until `give`."""
        self._reserved -= 1
        if self._reserved_of[mode] > 0:
            self._reserved_of[mode] -= 1
        else:  # it was counted under another mode when one was given back: see `unreserve`
            self._pools[mode] -= 1

    def unreserve(self) -> None:
        """Give a reserved slot back. Of which mode is not known: the pools are put right as soon as that is clear."""
        self._reserved -= 1
        self.free += 1
        for mode, reserved in self._reserved_of.items():
            excess = reserved - self._reserved
            if excess > 0:
                self._reserved_of[mode] -= excess
                self._pools[mode] += excess
        self.freed.set()
