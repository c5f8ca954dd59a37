"""From the log into memory: a run's record and history, replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import _limits, telemetry
from .._log import StartRun, read_run, start_body
from .._runtime.options import WorkflowSpec
from ..codec import Codec
from ..errors import DefinitionError
from ..history import RecordedEvent
from ..stores import Document, Store
from .decision import Delivery
from .execution import Execution, rebuild


class UnknownWorkflowError(DefinitionError):
    """No workflow of this name is registered with this worker. The run waits, and goes on where it is known."""

    def __init__(self, message: str, workflow: str) -> None:
        super().__init__(message)
        self.workflow = workflow


async def read_history(store: Store, partition: int, run_id: str) -> list[RecordedEvent]:
    """Return the whole history of `run_id`. Raises `DamagedRecordError` or `FutureVersionError` naming the event."""
    history: list[RecordedEvent] = []
    while True:
        first = len(history) + 1
        page = await store.read(partition, run_id, after=len(history), limit=_limits.HISTORY_PAGE_EVENTS)
        history += [RecordedEvent.read(seq, record) for seq, record in enumerate(page, first)]
        if len(page) < _limits.HISTORY_PAGE_EVENTS:
            return history


def new_execution(
    specs: Mapping[str, WorkflowSpec], codec: Codec, *, workflow: str, workflow_id: str, run_id: str
) -> Execution:
    """Return an execution before its first event. Raises `UnknownWorkflowError`."""
    spec = specs.get(workflow)
    if spec is None:
        known = ", ".join(sorted(specs)) or "none"
        raise UnknownWorkflowError(
            f"no workflow {workflow!r} is registered with the workers of this queue (they know: {known}); "
            "start a worker that has it, and the run goes on",
            workflow,
        )
    return Execution(workflow_id, run_id, spec, codec)


def started_execution(specs: Mapping[str, WorkflowSpec], codec: Codec, delivery: Delivery) -> Execution | None:
    """Return a fresh execution if `delivery` starts a run: nothing has to be read for it. Raises as `new_execution`."""
    message = delivery.message
    if not isinstance(message, StartRun) or message.run_id is None:
        return None
    execution = new_execution(specs, codec, workflow=message.workflow, workflow_id=delivery.name, run_id=message.run_id)
    execution.body, execution.attributes = start_body(message), message.attributes
    return execution


def closed_execution(specs: Mapping[str, WorkflowSpec], codec: Codec, document: Document) -> Execution:
    """Return the execution of a closed run, with nothing in memory: for what looks at its history only. Raises as `new_execution`."""
    record = read_run(document)
    execution = new_execution(
        specs, codec, workflow=record.workflow, workflow_id=record.workflow_id, run_id=record.run_id
    )
    execution.note, execution.closed, execution.ended = document.note, record.status, True
    execution.body, execution.attributes = record.body, record.attributes
    return execution


async def load_execution(
    store: Store,
    specs: Mapping[str, WorkflowSpec],
    codec: Codec,
    partition: int,
    document: Document,
    watched: Callable[[Callable[[], None]], None],
) -> Execution:
    """Return the execution of `document`'s run, replayed. Raises what makes the run stuck."""
    record = read_run(document)
    execution = new_execution(
        specs, codec, workflow=record.workflow, workflow_id=record.workflow_id, run_id=record.run_id
    )
    execution.note = document.note
    execution.body, execution.attributes = record.body, record.attributes
    rebuild(execution, await read_history(store, partition, record.run_id), watched)
    telemetry.run_replayed(execution.seq)
    return execution
