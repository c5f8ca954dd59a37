"""The line to one workflow id: sends it messages and reads its records, in the one partition where its runs live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from .._clock import Clock
from .._ids import WorkflowId
from .._log import (
    Message,
    QueryReply,
    follow,
    has_recorded,
    latest_of_chain,
    message_entry,
    partition_of,
    read_reply,
)
from ..codec import Codec
from ..errors import RunClosedError, RunNotFoundError
from ..stores import Document, Store, reply_topic
from ._around import Around
from ._patience import insist, wait_for

T = TypeVar("T")


class Line:
    """See the module. Every call is made again while its outcome is unknown; ids make the repeats harmless."""

    def __init__(self, store: Store, codec: Codec, workflow_id: WorkflowId, around: Around) -> None:
        self.store, self.codec, self.workflow_id, self.around = store, codec, workflow_id, around
        self.partition = partition_of(workflow_id, store.partitions)

    @property
    def clock(self) -> Clock:
        """The store's clock."""
        return self.store.clock

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """See `insist`."""
        return await insist(self.clock, call)

    async def document(self, run_id: str | None) -> Document:
        """Return the document of the run, or of the latest one for None. Raises `RunNotFoundError`."""

        def look() -> Awaitable[Document | None]:
            if run_id is not None:
                return self.store.document(self.partition, id=run_id)
            return self.store.document(self.partition, name=self.workflow_id)

        found = await self.insist(look)
        if found is None or found.name != self.workflow_id:
            raise self.not_found(run_id)
        return found

    async def send(self, message: Message, entry_id: str, *, run_id: str | None, closed_too: bool = False) -> Document:
        """Append `message` to the inbox of the run, or of the open run for None, and return its document; durable on return.

        Raises `RunNotFoundError`, or `RunClosedError` unless `closed_too`. A repeat of `entry_id` is dropped, and returns as
        the first one did even if the run has closed meanwhile. If the run has continued as new, the message goes to the current one.
        """
        # The workflow id makes a user's own request id unique in its partition.
        entry_id = f"{self.workflow_id}/{entry_id}"
        while True:
            entry = message_entry(entry_id, self.workflow_id, replace(message, run_id=run_id))
            try:
                return await self.insist(
                    partial(self.store.send, self.partition, entry, id=run_id, closed_too=closed_too)
                )
            except RunNotFoundError:
                latest = None if run_id is None else await self.latest_of_chain(run_id)
                if latest is None or latest.id == run_id:
                    raise self.not_found(run_id) from None
                run_id = latest.id  # the run is forgotten, and its chain has gone on
            except RunClosedError:
                closed = await self.document(run_id)
                current = await self.follow(closed)
                if current.id == closed.id or not current.open:
                    return await self._taken_by(current, getattr(message, "request", ""), run_id)
                run_id = current.id  # it knows the calls that the run before has answered: a repeat is dropped there

    async def _taken_by(self, closed: Document, request: str, run_id: str | None) -> Document:
        """Return `closed` if it has the call `request`: an earlier try was applied, and its answer was lost. Else raise `RunClosedError`."""
        if await self.insist(lambda: has_recorded(self.store, self.partition, closed.id, request)):
            return closed
        which = f"the run {run_id!r} of {self.workflow_id!r}" if run_id else f"the last run of {self.workflow_id!r}"
        raise RunClosedError(f"{which} is closed: it takes no more messages")

    async def follow(self, document: Document) -> Document:
        """Return the current run of the chain that `document` belongs to. See `durable._log.follow`."""
        return await self.insist(lambda: follow(self.store, self.partition, document))

    async def latest_of_chain(self, run_id: str) -> Document | None:
        """See `durable._log.latest_of_chain`."""
        return await self.insist(lambda: latest_of_chain(self.store, self.partition, self.workflow_id, run_id))

    async def reply(self, reply_id: str, timeout_s: float) -> QueryReply | None:
        """Return the answer that is written under `reply_id`, or None if none comes within `timeout_s`."""
        data = await wait_for(
            self.store,
            [reply_topic(reply_id)],
            lambda: self.store.take_reply(self.partition, reply_id),
            timeout_s,
        )
        return None if data is None else read_reply(data)

    def not_found(self, run_id: str | None) -> RunNotFoundError:
        """Return the error for a run that does not exist, for the caller to raise."""
        what = (
            f"no run {run_id!r} of workflow id {self.workflow_id!r}"
            if run_id
            else f"no run of workflow id {self.workflow_id!r}"
        )
        return RunNotFoundError(f"{what} in {self.store.url}")
