"""The start of a run: the record that it begins with, told from the message that starts it."""

from .._ids import inbox_of
from ..stores import Document, Entry
from ._messages import StartRun, message_entry
from ._runs import RecordBody, new_run_document


def start_document(workflow_id: str, message: StartRun, *, now_ms: int) -> Document:
    """Return the document of the run that `message`, its first, starts: with its inbox, attributes and memo."""
    assert message.run_id is not None
    return new_run_document(
        workflow_id=workflow_id,
        run_id=message.run_id,
        workflow=message.workflow,
        inbox=inbox_of(message.queue, message.workflow, message.version, pinned=message.pinned),
        request=message.request,
        now_ms=now_ms,
        body=start_body(message),
        attributes=message.attributes,
    )


def start_body(message: StartRun) -> RecordBody:
    """Return the body of the record of the run that `message` starts."""
    return RecordBody(
        timeout_ms=message.timeout_ms,
        version=message.version,
        memo=message.memo,
        execution_timeout_ms=message.execution_timeout_ms,
        first_run_id=message.first_run_id,
        continued_from=message.continued_from,
        parent=message.parent,
        forked_from=message.fork.origin if message.fork is not None else None,
    )


def start_entry(workflow_id: str, message: StartRun) -> Entry:
    """Return the entry with which the run begins: `start_document` and this create it."""
    return message_entry(f"{message.run_id}/start", workflow_id, message)
