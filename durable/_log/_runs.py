"""The run record: what is known of a run without reading its history. It is a document of the store, named by the workflow id."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import msgspec

from .._ids import is_pinned, queue_of
from ..errors import DamagedRecordError
from ..history import UNREADABLE, AttributeValue, Origin, Parent
from ..stores import Document

Status = Literal["running", "completed", "failed", "cancelled", "terminated", "timed_out", "continued_as_new"]


class RecordBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a run record that nobody searches by. For what is not said here see `RunStarted`.

    `version` is that of the workflow's code at the start. `patches` are the changes whose `patched(name)` the run has recorded,
    `deprecated_patches` those whose `deprecate_patch(name)` it has. `reopenings` is how often the run was reopened, `reopened_ms` when last.
    """

    timeout_ms: int | None = None
    version: str = ""
    memo: dict[str, msgspec.Raw] = {}
    patches: tuple[str, ...] = ()
    deprecated_patches: tuple[str, ...] = ()
    execution_timeout_ms: int | None = None
    first_run_id: str = ""
    continued_from: str = ""
    parent: Parent | None = None
    forked_from: Origin | None = None
    reopenings: int = 0
    reopened_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run record, read. `pinned`: the run has the inbox of its version, on `queue`."""

    workflow_id: str
    run_id: str
    workflow: str
    queue: str
    status: Status
    started_ms: int
    closed_ms: int | None
    stuck: str | None
    body: RecordBody
    pinned: bool = False
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue], hash=False)

    @property
    def first_run_id(self) -> str:
        """The first run of the chain that this one belongs to: itself, unless it continues another as new."""
        return self.body.first_run_id or self.run_id


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RecordBody)


def new_run_document(
    *,
    workflow_id: str,
    run_id: str,
    workflow: str,
    inbox: str,
    request: str,
    now_ms: int,
    body: RecordBody,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Document:
    """Return the document of a run that is about to be created."""
    return Document(
        run_id, workflow_id, inbox, request, workflow, "running", now_ms, _encoder.encode(body),
        attributes=attributes or {},
    )  # fmt: skip


def write_body(body: RecordBody) -> bytes:
    """Return the body of a run record as bytes for the store."""
    return _encoder.encode(body)


def read_run(document: Document) -> RunRecord:
    """Return the run record in `document`. Raises `DamagedRecordError`."""
    try:
        body = _decoder.decode(document.body)
    except UNREADABLE as error:
        raise DamagedRecordError(f"the record of run {document.id!r} cannot be read: {error}") from None
    return RunRecord(
        workflow_id=document.name,
        run_id=document.id,
        workflow=document.kind,
        queue=queue_of(document.inbox),
        status=cast(Status, document.state),
        started_ms=document.created_ms,
        closed_ms=document.closed_ms,
        stuck=document.note or None,
        body=body,
        pinned=is_pinned(document.inbox),
        attributes=document.attributes,
    )
