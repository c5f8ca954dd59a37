"""The replayer: recorded histories against the code as it is now. Reads only, runs no activity, and works without a worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast, overload, runtime_checkable

from .._log import Status
from .._runtime.around import Around
from ..author import Attribute, AttributeCondition, Workflow
from ..client import Client, RunDescription
from ..codec import Codec, default_codec
from ..errors import HistoryError, InvalidCallError
from ..history import RecordedEvent
from ..interceptors import Interceptor, checked_interceptors
from ..stores import Store
from ._replay_batch import Batch, OnProgress
from ._replay_codes import Codes
from ._replay_result import Divergence, DivergenceKind, ReplayResult
from ._replay_seeds import Job, checked_seeds
from ._replay_sources import HistorySource, histories_in, history_files, one_history, started

RUNS_MAX = 1_000  # of one call, unless it says otherwise: the histories are held in memory for the hash seeds
HASH_SEEDS = (0, 1, 2)


@runtime_checkable
class Executed(Protocol):
    """Anything that holds a finished execution: its workflow and its history."""

    @property
    def workflow(self) -> Workflow[..., Any]:
        """The workflow that ran."""
        ...

    @property
    def history(self) -> Iterable[bytes | str | RecordedEvent]:
        """What happened."""
        ...


@overload
def replay(
    workflow: Workflow[..., Any],
    history: HistorySource,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] = (),
    interceptors: Sequence[Interceptor] = (),
) -> ReplayResult: ...
@overload
def replay(
    workflow: Executed,
    history: None = None,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] = (),
    interceptors: Sequence[Interceptor] = (),
) -> ReplayResult: ...
def replay(
    workflow: Workflow[..., Any] | Executed,
    history: HistorySource | None = None,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] = (),
    interceptors: Sequence[Interceptor] = (),
) -> ReplayResult:
    """Replay a history with the code of `workflow` as it is now, and return whether it follows, or where it does not.

    `history` is a path to JSON lines as `durable export` writes them, the records, or `await handle.history()`. Anything
    that has a `workflow` and a `history` may be given alone. With `hash_seeds` the history is also replayed in a process
    for each of them, which finds code whose order depends on a set; the workflow must stand at the top of a module then.
    No activity runs and nothing is written. `codec` is the one that the history was written with. `interceptors` are around
    the code as with a worker; other processes do not have them, so they do not go with `hash_seeds`.

    Raises `InvalidCallError` for what is no history or one of another workflow, `HistoryError` for a record that cannot be
    read, `OSError` for a file, and `DefinitionError` if another process cannot import the workflow.
    """
    code, source = _unpacked(workflow, history)
    seeds = checked_seeds(hash_seeds)
    if interceptors:
        if seeds:
            raise InvalidCallError(
                "hash_seeds: a replay in another process cannot have interceptors; replay in two calls"
            )
        code = code.within(Around(checked_interceptors(interceptors)))
    recorded = one_history(source)
    name = started(recorded).workflow
    if name != code.name:
        raise InvalidCallError(f"the history is one of workflow {name!r}, and this is workflow {code.name!r}")
    batch = Batch(codec or default_codec(), seeds, 1)
    batch.add(Job(code, recorded))
    return batch.results()[0]


@overload
def assert_replays(
    workflow: Workflow[..., Any],
    history: HistorySource,
    *,
    codec: Codec | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> None: ...
@overload
def assert_replays(
    workflow: Executed, history: None = None, *, codec: Codec | None = None, interceptors: Sequence[Interceptor] = ()
) -> None: ...
def assert_replays(
    workflow: Any, history: Any = None, *, codec: Codec | None = None, interceptors: Sequence[Interceptor] = ()
) -> None:
    """Assert that the code follows the history; the `AssertionError` shows the difference. Raises as `replay` does."""
    __tracebackhide__ = True  # pytest shows the line of the test
    result = replay(workflow, history, codec=codec, interceptors=interceptors)
    if not result.ok:
        raise AssertionError(str(result))


@overload
def assert_deterministic(
    workflow: Workflow[..., Any],
    history: HistorySource,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] = HASH_SEEDS,
) -> None: ...
@overload
def assert_deterministic(
    workflow: Executed, history: None = None, *, codec: Codec | None = None, hash_seeds: Iterable[int] = HASH_SEEDS
) -> None: ...
def assert_deterministic(
    workflow: Any, history: Any = None, *, codec: Codec | None = None, hash_seeds: Iterable[int] = HASH_SEEDS
) -> None:
    """Assert that the code follows the history, and asks for the same in processes of other hash seeds. Raises as `replay`."""
    __tracebackhide__ = True
    result = replay(workflow, history, codec=codec, hash_seeds=hash_seeds)
    if not result.ok:
        raise AssertionError(str(result))


async def replay_all(
    workflows: Iterable[Workflow[..., Any]],
    source: Client | Store,
    *,
    status: Status | Sequence[Status] | None = None,
    id_prefix: str | None = None,
    started_after: datetime | None = None,
    started_before: datetime | None = None,
    stuck: bool | None = None,
    attributes: Mapping[Attribute[Any], Any] | Sequence[AttributeCondition] | None = None,
    limit: int = RUNS_MAX,
    hash_seeds: Iterable[int] = (),
    codec: Codec | None = None,
    on_progress: OnProgress | None = None,
) -> list[ReplayResult]:
    """Replay the runs of `workflows` in a store with the code as it is now: the newest `limit` of those that match.

    A run that is pinned to a version is replayed with that version, and passed over if it is not among `workflows`. The
    filters are those of `Client.list`. Nothing is written, and no worker need run, or stop. A history that cannot be
    read is a result as well, whose divergence says so; a run that nobody has begun yet is passed over. `codec` is the
    client's unless given. `on_progress` is called with how many replays are through, and of how many.

    Raises as `Client.list` and `replay` do, and `DefinitionError` for two workflows of one name.
    """
    seeds = checked_seeds(hash_seeds)
    client = source if isinstance(source, Client) else Client(source)
    codes = Codes(workflows)
    filters = {
        "status": status,
        "id_prefix": id_prefix,
        "started_after": started_after,
        "started_before": started_before,
        "stuck": stuck,
        "attributes": attributes,
    }
    runs = await codes.runs(client, limit, filters)
    batch = Batch(codec or client.codec, seeds, len(runs), on_progress)
    for run in runs:
        try:
            history = await client.handle(run.workflow_id, run.run_id).history()
        except HistoryError as error:
            batch.cannot(_unreadable(run, error))
        else:
            code = codes.of(run)
            if history and code is not None:
                batch.add(Job(code, history))
            else:
                batch.skip()
        await asyncio.sleep(0)
    return await asyncio.to_thread(batch.results)


def replay_files(
    workflows: Iterable[Workflow[..., Any]],
    paths: Iterable[str | os.PathLike[str]],
    *,
    hash_seeds: Iterable[int] = (),
    codec: Codec | None = None,
    on_progress: OnProgress | None = None,
) -> list[ReplayResult]:
    """Replay the histories in files of JSON lines, each with the one of `workflows` that has its workflow's name (and version, if
    the run is pinned to one).

    A folder stands for the `*.jsonl` files in it and below. A history that cannot be read, or whose workflow is not among
    them, is a result as well, whose divergence says so. `on_progress` is called with how many replays are through, and of
    how many. Raises as `replay` and `replay_all` do, `OSError`, and `InvalidCallError` if a path holds no history.
    """
    seeds = checked_seeds(hash_seeds)
    codes = Codes(workflows)
    found: list[tuple[str, list[RecordedEvent] | HistoryError]] = []
    for path in paths:
        before = len(found)
        for file in history_files([path]):
            found += _in_file(file)
        if len(found) == before:
            raise InvalidCallError(f"there is no history in {os.fspath(path)!r}")
    batch = Batch(codec or default_codec(), seeds, len(found), on_progress)
    for source, history in found:
        if isinstance(history, HistoryError):
            batch.cannot(_not_replayed("unreadable", source=source, error=str(history)))
        elif (code := codes.of(started(history))) is not None:
            batch.add(Job(code, history, source))
        else:
            batch.cannot(_unknown(history, source, codes))
    return batch.results()


def _in_file(path: Path) -> list[tuple[str, list[RecordedEvent] | HistoryError]]:
    found: list[tuple[str, list[RecordedEvent] | HistoryError]] = []
    try:
        for history in histories_in(path):
            started(history)
            found.append((str(path), history))
    except HistoryError as error:
        found.append((str(path), error))
    return found


def _unpacked(workflow: object, history: HistorySource | None) -> tuple[Workflow[..., Any], HistorySource]:
    if isinstance(workflow, Workflow):
        workflow = cast("Workflow[..., Any]", workflow)
        if history is None:
            raise InvalidCallError(f"expected a history of {workflow!r}, got None")
        return workflow, history
    if history is None and isinstance(workflow, Executed):
        return workflow.workflow, workflow.history
    raise InvalidCallError(
        f"expected a workflow and a history, or an execution that has both, got {workflow!r} and {history!r}"
    )


def _unreadable(run: RunDescription, error: HistoryError) -> ReplayResult:
    return replace(
        _not_replayed("unreadable", error=str(error)),
        workflow=run.workflow, workflow_id=run.workflow_id, run_id=run.run_id, status=run.status,
    )  # fmt: skip


def _unknown(history: Sequence[RecordedEvent], source: str, codes: Codes) -> ReplayResult:
    first = started(history)
    result = _not_replayed(
        "unknown_workflow",
        source=source,
        error=codes.missing(first),
        cause='it was renamed or removed: give the old name back with `@workflow(name="...")`, or name its module as well',
    )
    return replace(
        result, workflow=first.workflow, workflow_id=first.workflow_id, run_id=first.run_id, events=len(history)
    )


def _not_replayed(kind: DivergenceKind, *, error: str, cause: str = "", source: str = "") -> ReplayResult:
    return ReplayResult(workflow="", source=source, divergence=Divergence(kind=kind, seq=0, error=error, cause=cause))
