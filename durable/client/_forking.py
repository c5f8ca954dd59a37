"""Forks: a new run that begins with a part of another one's history."""

from __future__ import annotations

from collections.abc import Sequence

from .._ids import checked_workflow_id
from .._log import Fork, StartRun, start_document, start_entry
from ..errors import NameTakenError, RunAlreadyOpenError
from ..history import Origin, RecordedEvent, RunStarted, effective, fork_point
from ..stores import Document
from ._line import Line


async def fork(
    source: Line, run_id: str, history: Sequence[RecordedEvent], at: int | None, workflow_id: str | None, request: str
) -> tuple[Line, Document]:
    """Create a run that begins with `history`, that of `run_id`, up to event `at`; return its line and document.

    See `Handle.fork` for what is raised; a `RunAlreadyOpenError` comes without its handle.
    """
    point = fork_point(history, at)
    started = next(r.event for r in effective(history[:point]) if isinstance(r.event, RunStarted))
    clock = source.clock
    new_id = checked_workflow_id(clock.new_id() if workflow_id is None else workflow_id)
    line = Line(source.store, source.codec, new_id, source.around)
    message = StartRun(
        run_id=clock.new_id(),
        workflow=started.workflow,
        queue=started.queue,
        args=started.args,
        request=request,
        timeout_ms=started.timeout_ms,
        execution_timeout_ms=started.execution_timeout_ms,
        version=started.version,
        pinned=started.pinned,
        attributes=started.attributes,
        memo=started.memo,
        headers=started.headers,
        fork=Fork(
            origin=Origin(workflow_id=source.workflow_id, run_id=run_id, event=point), partition=source.partition
        ),
    )
    document = start_document(new_id, message, now_ms=line.store.now_ms())
    entry = start_entry(line.workflow_id, message)
    try:
        return line, await line.insist(lambda: line.store.create(line.partition, document, [entry]))
    except NameTakenError:
        raise RunAlreadyOpenError(
            f"a run of workflow id {line.workflow_id!r} is open: fork to another id, or give none, which makes a new one"
        ) from None
