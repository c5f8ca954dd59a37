"""Relays what runs send to other partitions: at least once, recognized by its id at the receiver (invariant 3).

An outgoing entry is written in the commit of the step that asked for it. The owner sends it, and gives the sender's run a
message with the outcome; the commit that records the outcome removes the entry. A new owner begins with what is left.
"""

from __future__ import annotations

import logging

from .._log import OutgoingEnded, OutgoingMessage, has_recorded, read_outgoing
from ..codec import default_codec, failure_of
from ..errors import DamagedRecordError, RunClosedError, RunNotFoundError, StoreError
from ..stores import Lease, Outgoing, Store
from .decision import Delivery

_log = logging.getLogger("durable.engine")

PAGE = 100_000  # entries read when a partition is taken over; each is a message that a run of ours waits for
RESEND_S = 0.5  # pause while the store is away


class Outbox:
    """Sends outgoing entries."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def left_over(self, lease: Lease) -> list[Outgoing]:
        """Return the entries that an earlier owner did not get to. Waits while the store is away."""
        while True:
            try:
                return await self._store.read_outgoing(lease, limit=PAGE)
            except StoreError as error:
                if not error.retryable:
                    raise
                _log.warning("the outbox of partition %d cannot be read, trying again: %s", lease.partition, error)
                await self._store.clock.sleep(RESEND_S)

    async def relay(self, outgoing: Outgoing) -> Delivery | None:
        """Send one entry and return what its sender is to be told; None if the entry cannot be read."""
        try:
            item = read_outgoing(outgoing)
        except DamagedRecordError as error:
            _log.error("%s; it stays where it is", error)
            return None
        ended = OutgoingEnded(run_id=item.run_id, id=item.id, failure=await self._send(item, outgoing.partition))
        return Delivery(item.workflow_id, ended, relayed=outgoing.id)

    async def _send(self, item: OutgoingMessage, partition: int) -> dict[str, object] | None:
        while True:
            try:
                await self._store.send(partition, item.entry())
            except RunNotFoundError as error:
                return failure_of(error, default_codec()).as_wire()
            except RunClosedError as error:
                if await self._was_delivered(item, partition):
                    return None
                return failure_of(error, default_codec()).as_wire()
            except StoreError as error:
                if not error.retryable:
                    raise
                _log.warning("a message to %r could not be sent, trying again: %s", item.target, error)
                await self._store.clock.sleep(RESEND_S)
            else:
                return None

    async def _was_delivered(self, item: OutgoingMessage, partition: int) -> bool:
        """Return whether the closed run has the message: an earlier try was applied, and who made it did not live to record it."""
        while True:
            try:
                document = await self._store.document(partition, name=item.target)
                return document is not None and await has_recorded(self._store, partition, document.id, item.key)
            except StoreError as error:
                if not error.retryable:
                    raise
                await self._store.clock.sleep(RESEND_S)
