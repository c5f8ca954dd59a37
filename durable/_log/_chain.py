"""The chain of runs that continued each other as new: from one of them to the current one."""

from __future__ import annotations

from ..errors import DamagedRecordError, RunNotFoundError
from ..history import RecordedEvent, RunContinuedAsNew
from ..stores import Document, Store
from ._runs import read_run

CONTINUED = "continued_as_new"


async def follow(store: Store, partition: int, document: Document) -> Document:
    """Return the document of the current run of the chain: the one that `document`'s run went on as, if it continued as new.

    That may go on as new again right after. What meets a run that is closed as continued, by its run id, is for that one. Raises
    `DamagedRecordError` if a history does not say how its run went on, `RunNotFoundError` if the run that it went on as is not in
    the store any more, and what the store raises.
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
    if found is None:  # the next run of a chain may be kept for a shorter time: it may be of another workflow
        raise RunNotFoundError(
            f"run {document.id!r} continued as {event.new_run_id!r}, which is not in the store any more"
        )
    return found


async def latest_of_chain(store: Store, partition: int, workflow_id: str, run_id: str) -> Document | None:
    """Return the document of the latest run of the workflow id, if `run_id`, which may be gone, is known to be of its chain.

    That is so for the first run of the chain and for the one before the latest.
    """
    latest = await store.document(partition, name=workflow_id)
    if latest is None:
        return None
    record = read_run(latest)
    return latest if run_id in (record.first_run_id, record.body.continued_from) else None
