"""Sends what runs have for other runs: at least once, recognized by its id at the receiver (invariant 3).

An outgoing entry is written in the commit of the step that asked for it. The owner relays it (`relay.py`). Where the sender
waits for the outcome, its run is given a message, and the commit that records that removes the entry; else the entry is
removed by any later commit. A new owner begins with what is left, before anything of its own.

What one workflow id sends to another goes in order: a child is not terminated before it is started.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .._log import OutgoingMessage, read_outgoing
from ..errors import DamagedRecordError, StoreError
from ..stores import Lease, Outgoing, Store
from .owned import Owned
from .relay import RESEND_S, Relay

_log = logging.getLogger("durable.engine")

PAGE = 100_000  # entries read when a partition is taken over; each is a message that a run of ours waits for
RELAYS_MAX = 64  # entries on their way at once: a fan-out to many runs must not wait for one round trip after the other


class Outbox:
    """Sends the outgoing entries of owned partitions. `spawn` runs a coroutine beside the loop, `wake` lets the loop look again."""

    def __init__(
        self,
        store: Store,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        is_owned: Callable[[Owned], bool],
        wake: Callable[[], None],
    ) -> None:
        self._store, self._relay = store, Relay(store)
        self._spawn, self._is_owned, self._wake = spawn, is_owned, wake
        self._slots = asyncio.Semaphore(RELAYS_MAX)

    async def take_over(self, owned: Owned) -> None:
        """Send what an earlier owner did not get to; what commits of ours have added meanwhile comes after it."""
        left = await self._left_over(owned.lease)
        held, owned.held = owned.held or [], None
        known = {entry.id for entry in left}
        self._send(owned, left, again=True)
        self._send(owned, [entry for entry in held if entry.id not in known], again=False)

    def send(self, owned: Owned, entries: Sequence[Outgoing]) -> None:
        """Send the entries of a commit that was applied."""
        if owned.held is not None:
            owned.held += entries
        else:
            self._send(owned, entries, again=False)

    def _send(self, owned: Owned, entries: Sequence[Outgoing], *, again: bool) -> None:
        for entry in entries:
            try:
                item = read_outgoing(entry)
            except DamagedRecordError as error:
                _log.error("%s; it stays where it is", error)
                continue
            way = (item.workflow_id, item.target)
            waiting = owned.sending.get(way)
            if waiting is None:
                waiting = owned.sending[way] = deque()
                self._spawn(self._drain(owned, way, waiting))
            waiting.append((entry, item, again))

    async def _drain(
        self, owned: Owned, way: tuple[str, str], waiting: deque[tuple[Outgoing, OutgoingMessage, bool]]
    ) -> None:
        """Send what `waiting` holds, one after the other; what is left when the partition is lost is the next owner's."""
        while waiting and self._is_owned(owned):
            entry, item, again = waiting.popleft()
            async with self._slots:
                delivery = await self._relay.relay(entry, item, again=again)
            if delivery is not None:
                owned.post(delivery)
            else:
                owned.relayed.append(entry.id)
            self._wake()
        del owned.sending[way]

    async def _left_over(self, lease: Lease) -> list[Outgoing]:
        """Return the entries that an earlier owner did not get to. Waits while the store is away."""
        while True:
            try:
                return await self._store.read_outgoing(lease, limit=PAGE)
            except StoreError as error:
                if not error.retryable:
                    raise
                _log.warning("the outbox of partition %d cannot be read, trying again: %s", lease.partition, error)
                await self._store.clock.sleep(RESEND_S)
