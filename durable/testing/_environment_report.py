"""What open runs wait for, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .._engine.loading import load_execution
from .._log import read_run
from .._runtime.commands import ActivityCommand, ChildCommand, Command, TimerCommand
from .._runtime.run import Run
from ..author import Workflow
from ..codec import Codec
from ..errors import HistoryError
from ..history import WIRE
from ..stores import Document, DocumentFilter, Store, TaskInfo
from ..worker._plans import workflows_by_inbox

_RUNS_MAX = 20  # described; more would not be read
_EVENTS_MAX = 1_000


async def story_of(store: Store, workflows: Sequence[Workflow[..., Any]], codec: Codec) -> str:
    """Return what each open run waits for: where its code is, and what would make it go on."""
    found = await store.inspect.documents(DocumentFilter(states=("running",)), limit=_RUNS_MAX + 1)
    tasks = {info.task.id: info for info in await store.inspect.tasks(limit=100_000)}
    lines: list[str] = []
    for partition, document in reversed(found[:_RUNS_MAX]):
        lines += await _run_lines(store, workflows, codec, partition, document, tasks)
    if len(found) > _RUNS_MAX:
        lines.append("  and there are more open runs")
    return "\n".join(lines)


async def histories_of(store: Store) -> str:
    """Return the histories of all runs, a line for each event, with the time since the run began."""
    lines: list[str] = []
    for partition, document in reversed(await store.inspect.documents(DocumentFilter(), limit=_RUNS_MAX)):
        lines.append(
            f"{document.kind} {document.name!r}: {document.state}" + (f", {document.note}" * bool(document.note))
        )
        for number, record in enumerate(await store.read(partition, document.id, limit=_EVENTS_MAX), 1):
            lines.append(f"  {number:4} {_event_line(record, document.created_ms)}")
    return "\n".join(lines)


def _event_line(record: bytes, began_ms: int) -> str:
    try:
        event: Any = WIRE.decode(record)
    except HistoryError as error:
        return str(error)
    text = f"{(event.at - began_ms) / 1000:+12.3f} s  {type(event).__name__}"
    told = [f"{getattr(event, name)}" for name in ("activity", "name", "workflow_id") if getattr(event, name, "")]
    failure = getattr(event, "failure", None)
    if isinstance(failure, dict):
        told.append(f"{failure.get('type')}: {failure.get('message')}")  # pyright: ignore[reportUnknownMemberType]
    number = getattr(event, "id", None)
    return text + (f" #{number}" if number is not None else "") + (f" {', '.join(told)}" if told else "")


async def _run_lines(
    store: Store,
    workflows: Sequence[Workflow[..., Any]],
    codec: Codec,
    partition: int,
    document: Document,
    tasks: Mapping[str, TaskInfo],
) -> list[str]:
    record = read_run(document)
    head = f"  {record.workflow} {record.workflow_id!r}"
    if record.stuck:
        return [f"{head} is stuck: {record.stuck}"]
    known = workflows_by_inbox(workflows, record.queue).get(document.inbox, {})
    if record.pinned and not known:
        return [f"{head} waits for a worker that serves its version {record.body.version!r}, pinned: there is none"]
    try:
        execution = await load_execution(store, known, codec, partition, document, lambda step: step())
    except Exception as error:  # it is asked for its state here, and nothing else: whatever is wrong with it is told
        return [f"{head} cannot be read: {type(error).__name__}: {error}"]
    try:
        run = execution.run
        if run is None:
            return [f"{head} has not begun: does a worker serve queue {record.queue!r}?"]
        waits = waits_of(run, tasks)
        where = run.where()
        return [f"{head} waits" + (f" at {where}" if where else ""), *(f"    for {wait}" for wait in waits)]
    finally:
        execution.dispose()


def waits_of(run: Run, tasks: Mapping[str, TaskInfo]) -> list[str]:
    """Return what would make `run` go on."""
    waits = [_command(run, command, tasks) for command in run.commands.values()]
    waits += [f"signal {name!r}" for name in run.signals.awaited]
    waits += ["a condition (wait_condition)"] * run.conditions.pending
    return waits or ["something that no event can bring: a future or lock of its own"]


def _command(run: Run, command: Command, tasks: Mapping[str, TaskInfo]) -> str:
    if isinstance(command, ActivityCommand):
        info = tasks.get(f"{run.run_id}/{command.id}/{command.attempt}")
        name = f"activity {command.event.activity!r}, attempt {command.attempt}"
        if info is None:
            return f"{name}, which is to be tried again later"
        if info.parked is not None:
            return f"{name}, which is parked: {info.parked}"
        return (
            f"{name}, which runs"
            if info.claimed_by
            else f"{name}, which waits for a worker of queue {info.task.queue!r}"
        )
    if isinstance(command, ChildCommand):
        begun = "which is open" if command.child_run else "which is not started yet"
        return f"child {command.event.workflow!r} with id {command.event.workflow_id!r}, {begun}"
    if isinstance(command, TimerCommand):
        return f"a timer, due at {datetime.fromtimestamp(command.event.due_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{type(command).__name__.removesuffix('Command').lower()} #{command.id}"
