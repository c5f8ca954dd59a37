"""The chain of runs that continued each other as new: from one of them to the current one."""

from __future__ import annotations

from ..errors import DamagedRecordError
from ..history import RecordedEvent, RunContinuedAsNew
from ..stores import Document, Store
from ._runs import read_run

CONTINUED = "continued_as_new"


async def follow(store: Store, partition: int, document: Document) -> Document:
    """Return the document of the current run of the chain: the one that `document`'s run went on as, if it continued as new.

    That may go on as new again right after. What meets a run that is closed as continued, by its run id, is for that one. Raises
    `DamagedRecordError` if a history does not say how its run went on, and what the store raises.
    """
    if document.state != CONTINUED:
        return document
    latest = await store.document(partition, name=document.name)
    if latest is not None and read_run(latest).first_run_id == read_run(document).first_run_id:
        return latest  # the usual case: the chain is still the latest of its workflow id
    while document.state == CONTINUED:
        document = await _next(store, partition, document)
    return document


async def _next(store: Store, partition: int, document: Document) -> Document:
    last = await store.read_last(partition, document.id)
    event = None if last is None else RecordedEvent.read(*last).event
    if not isinstance(event, RunContinuedAsNew):
        raise DamagedRecordError(f"run {document.id!r} continued as new, and its history does not end with that")
    found = await store.document(partition, id=event.new_run_id)
    if found is None:
        raise DamagedRecordError(f"run {document.id!r} continued as {event.new_run_id!r}, of which there is no record")
    return found
