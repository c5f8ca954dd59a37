"""Relays one outgoing entry: into another run's inbox, or, for a child, by creating the run."""

from __future__ import annotations

import logging

from .._log import (
    ChildEnded,
    ChildRef,
    OutgoingEnded,
    OutgoingMessage,
    StartRun,
    WatchChild,
    child_document,
    follow,
    has_recorded,
    partition_of,
    read_run,
    start_document,
    start_entry,
)
from ..codec import default_codec, failure_of
from ..errors import NameTakenError, RunAlreadyOpenError, RunClosedError, RunNotFoundError, StoreError
from ..history import Close, Parent, RecordedEvent
from ..stores import Document, DocumentFilter, Outgoing, Store
from . import effects
from .decision import Delivery

_log = logging.getLogger("durable.engine")

RESEND_S = 0.5  # pause while the store is away
EARLIER_MAX = (
    10  # earlier runs of a target that are looked at; more than these do not come and go while a sender is replaced
)
ANCESTORS_MAX = 100  # looked at for a cycle; deeper down, the error does not say that it is one


class Relay:
    """Sends single entries, as often as it takes."""

    def __init__(self, store: Store) -> None:
        self._store, self._codec = store, default_codec()

    async def relay(self, entry: Outgoing, item: OutgoingMessage, *, again: bool) -> Delivery | None:
        """Send `item` and return what its sender is to be told; None if nothing.

        `again`: an earlier try may have been applied. While the store is away, it is tried anew.
        """
        while True:
            try:
                message = await self._sent(item, entry.partition, again)
            except StoreError as error:
                if not error.retryable:
                    raise
                _log.warning("a message to %r could not be sent, trying again: %s", item.target, error)
                again = True
                await self._store.clock.sleep(RESEND_S)
            else:
                return None if message is None else Delivery(item.workflow_id, message, relayed=entry.id)

    async def _sent(self, item: OutgoingMessage, partition: int, again: bool) -> OutgoingEnded | ChildEnded | None:
        if isinstance(item.message, StartRun):
            return await self._start(item, item.message, partition, again)
        if isinstance(item.message, WatchChild):
            return await self._watch(item, item.message.child_run, partition)
        try:
            if item.child is not None:
                await self._send_to_child(item, item.child, partition)
            elif again and item.tells:
                await self._send_again(item, partition)
            else:
                run_id = item.message.run_id if isinstance(item.message, ChildEnded) else None
                await self._store.send(partition, item.entry(), id=run_id)
        except RunNotFoundError:  # in a store's words, which are not the sender's
            return self._outcome(item, RunNotFoundError(f"no run of workflow id {item.target!r}"))
        except RunClosedError:
            told = RunClosedError(f"the last run of workflow id {item.target!r} is closed: it takes no more messages")
            return self._outcome(item, None if await self._was_delivered(item, partition) else told)
        return self._outcome(item, None)

    def _outcome(self, item: OutgoingMessage, error: Exception | None) -> OutgoingEnded | None:
        if not item.tells:
            return None  # a run that is gone needs no request to end, and a parent that is gone no answer
        failure = None if error is None else failure_of(error, self._codec).as_wire()
        return OutgoingEnded(run_id=item.run_id, id=item.id, failure=failure, reopened=item.reopened)

    async def _send_again(self, item: OutgoingMessage, partition: int) -> None:
        """Send it to the present run of its target, unless an earlier run of that workflow id has it from an earlier try.

        That one has ended then, and the present run is another, which does not know of it. Raises `RunClosedError`.
        """
        tried = ""
        while True:
            present = await self._store.document(partition, name=item.target)
            for _, document in await self._store.inspect.documents(DocumentFilter(name=item.target), limit=EARLIER_MAX):
                if not document.open and await has_recorded(self._store, partition, document.id, item.key):
                    return
            if present is None or present.id == tried:
                await self._store.send(partition, item.entry())
                return
            tried = present.id
            try:
                await self._store.send(partition, item.entry(), id=present.id)
            except RunClosedError:
                continue  # with the message, or without it: then the next one is for it
            return

    async def _was_delivered(self, item: OutgoingMessage, partition: int) -> bool:
        """Return whether the closed run has the message: an earlier try was applied, and who made it did not live to record it."""
        if not item.tells:
            return True
        document = await self._store.document(partition, name=item.target)
        return document is not None and await has_recorded(self._store, partition, document.id, item.key)

    # --- children

    async def _start(
        self, item: OutgoingMessage, message: StartRun, partition: int, again: bool
    ) -> OutgoingEnded | ChildEnded:
        # The child may have run and ended since the first try, and its workflow id may be another run's by now.
        found = await self._store.document(partition, id=message.run_id) if again else None
        if found is None:
            document = start_document(item.target, message, now_ms=self._store.now_ms())
            entry = start_entry(item.target, message)
            try:
                found = await self._store.create(partition, document, [entry])
            except NameTakenError:
                latest = await self._store.document(partition, name=item.target)
                if latest is None or not _ref(item).is_of(read_run(latest).body.parent):
                    failure = failure_of(await self._taken(item, message, latest), self._codec).as_wire()
                    return OutgoingEnded(run_id=item.run_id, id=item.id, failure=failure, reopened=item.reopened)
                found = latest  # it has continued as new since the first try
        if not found.open:
            ended = await self._watch(item, found.id, partition)
            if ended is not None:
                return ended
        first = read_run(found).first_run_id
        return OutgoingEnded(run_id=item.run_id, id=item.id, reopened=item.reopened, started=first)

    async def _taken(self, item: OutgoingMessage, message: StartRun, latest: Document | None) -> RunAlreadyOpenError:
        who = "another run" if latest is None else f"run {latest.id} of {latest.kind}"
        told = (
            f"child {message.workflow} cannot be started: workflow id {item.target!r} is taken by {who}, which is open"
        )
        if latest is not None and await self._is_ancestor(latest.id, message.parent):
            told += f" and an ancestor of {item.workflow_id!r}, which starts it: that would be a cycle"
        return RunAlreadyOpenError(told)

    async def _is_ancestor(self, run_id: str, parent: Parent | None) -> bool:
        for _ in range(ANCESTORS_MAX):
            if parent is None:
                return False
            if parent.run_id == run_id:
                return True
            document = await self._store.document(
                partition_of(parent.workflow_id, self._store.partitions), id=parent.run_id
            )
            parent = None if document is None else read_run(document).body.parent
        return False

    async def _send_to_child(self, item: OutgoingMessage, child: ChildRef, partition: int) -> None:
        """Put a message into the inbox of the child's present run. Raises `RunClosedError`."""
        tried = ""
        while True:
            document = await child_document(self._store, partition, item.target, child)
            if document is None or not document.open or document.id == tried:
                raise RunClosedError(f"the child {item.target!r} has ended: it takes no more messages")
            tried = document.id
            try:
                await self._store.send(partition, item.entry(), id=document.id)
            except RunClosedError:
                continue  # it may go on as a new run
            return

    async def _watch(self, item: OutgoingMessage, run_id: str, partition: int) -> ChildEnded | None:
        """Return how the child ended whose first run is `run_id`; None if it is open, and will say so itself."""
        child = _ref(item)
        document = await child_document(self._store, partition, item.target, child)
        if document is None and (first := await self._store.document(partition, id=run_id)) is not None:
            document = await follow(self._store, partition, first)  # another run has its workflow id by now
        if document is None:
            error = RunNotFoundError(f"the run {run_id!r} of child {item.target!r} is not in the store any more")
            return ChildEnded(
                run_id=item.run_id, id=item.id, reopened=item.reopened, child_run=run_id, status="failed",
                failure=failure_of(error, self._codec).as_wire(),
            )  # fmt: skip
        if document.open:
            return None
        last = await self._store.read_last(partition, document.id)
        close = None if last is None else RecordedEvent.read(*last).event
        record = read_run(document)
        parent = record.body.parent
        if not isinstance(close, Close) or parent is None:
            return None  # reopened between the two reads
        return effects.child_end(
            parent, document.kind, document.name, document.id, record.first_run_id, close, self._codec
        )


def _ref(item: OutgoingMessage) -> ChildRef:
    return item.child or ChildRef(run_id=item.run_id, command=item.id, reopened=item.reopened)
