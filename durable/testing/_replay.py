"""The replayer: recorded histories against the code as it is now. Reads only, runs no activity, and works without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, overload, runtime_checkable

from .._log import Status
from ..author import Workflow
from ..client import Client, RunDescription
from ..codec import Codec, default_codec
from ..errors import DefinitionError, HistoryError, InvalidCallError
from ..history import RecordedEvent
from ..stores import Store
from ._replay_result import Divergence, ReplayResult
from ._replay_run import Replayed, replay_history, watching
from ._replay_seeds import Job, checked_seeds, compared, replay_under
from ._replay_sources import HistorySource, one_history, started

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
) -> ReplayResult: ...
@overload
def replay(
    workflow: Executed, history: None = None, *, codec: Codec | None = None, hash_seeds: Iterable[int] = ()
) -> ReplayResult: ...
def replay(
    workflow: Workflow[..., Any] | Executed,
    history: HistorySource | None = None,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] = (),
) -> ReplayResult:
    """Replay a history with the code of `workflow` as it is now, and return whether it follows, or where it does not.

    `history` is a path to JSON lines as `durable export` writes them, the records, or `await handle.history()`. Anything
    that has a `workflow` and a `history` may be given alone. With `hash_seeds` the history is also replayed in a process
    for each of them, which finds code whose order depends on a set; the workflow must stand at the top of a module then.
    No activity runs and nothing is written. `codec` is the one that the history was written with.

    Raises `InvalidCallError` for what is no history or one of another workflow, `HistoryError` for a record that cannot be
    read, `OSError` for a file, and `DefinitionError` if another process cannot import the workflow.
    """
    code, source = _unpacked(workflow, history)
    seeds = checked_seeds(hash_seeds)
    recorded = one_history(source)
    name = started(recorded).workflow
    if name != code.name:
        raise InvalidCallError(f"the history is one of workflow {name!r}, and this is workflow {code.name!r}")
    return replay_jobs([Job(code, recorded)], codec or default_codec(), seeds)[0]


@overload
def assert_replays(workflow: Workflow[..., Any], history: HistorySource, *, codec: Codec | None = None) -> None: ...
@overload
def assert_replays(workflow: Executed, history: None = None, *, codec: Codec | None = None) -> None: ...
def assert_replays(workflow: Any, history: Any = None, *, codec: Codec | None = None) -> None:
    """Assert that the code follows the history; the `AssertionError` shows the difference. Raises as `replay` does."""
    __tracebackhide__ = True  # pytest shows the line of the test
    result = replay(workflow, history, codec=codec)
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
    limit: int = RUNS_MAX,
    hash_seeds: Iterable[int] = (),
    codec: Codec | None = None,
    on_result: Callable[[ReplayResult], None] | None = None,
) -> list[ReplayResult]:
    """Replay the runs of `workflows` in a store with the code as it is now: the newest `limit` of those that match.

    The filters are those of `Client.list`. Nothing is written, and no worker need run, or stop. `on_result` is called with
    each result as it comes. A history that cannot be read is a result as well, whose divergence says so. `codec` is the
    client's unless given.

    Raises as `Client.list` and `replay` do, and `DefinitionError` for two workflows of one name.
    """
    seeds = checked_seeds(hash_seeds)
    client = source if isinstance(source, Client) else Client(source)
    by_name = workflows_by_name(workflows)
    runs: list[RunDescription] = []
    for name in by_name:
        runs += await client.list(
            workflow=name,
            status=status,
            id_prefix=id_prefix,
            started_after=started_after,
            started_before=started_before,
            stuck=stuck,
            limit=limit,
        )
    runs.sort(key=lambda run: run.started_at, reverse=True)
    results: list[ReplayResult] = []
    told = on_result or (lambda _: None)
    jobs: list[Job] = []
    for run in runs[:limit]:
        try:
            history = await client.handle(run.workflow_id, run.run_id).history()
        except HistoryError as error:
            results.append(_unreadable(run, error))
            told(results[-1])
            continue
        if not history:
            continue  # nobody has begun it yet: any code will do
        jobs.append(Job(by_name[run.workflow], history))
        if not seeds:  # else all of them together, in one process for each seed
            results += replay_jobs(jobs, codec or client.codec, seeds, told)
            jobs.clear()
            await asyncio.sleep(0)
    if jobs:
        results += await asyncio.to_thread(replay_jobs, jobs, codec or client.codec, seeds, told)
    return results


def workflows_by_name(workflows: Iterable[Workflow[..., Any]]) -> dict[str, Workflow[..., Any]]:
    """Return the workflows by name. Raises `DefinitionError` for what is none, and for two of one name."""
    found: dict[str, Workflow[..., Any]] = {}
    for each in workflows:
        if not isinstance(each, Workflow):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            raise DefinitionError(f"expected a function decorated with @workflow, got {each!r}")
        if found.setdefault(each.name, each) is not each:
            raise DefinitionError(f"two workflows are named {each.name!r}: {found[each.name]!r} and {each!r}")
    return found


def replay_jobs(
    jobs: Sequence[Job],
    codec: Codec,
    seeds: Sequence[int] = (),
    on_result: Callable[[ReplayResult], None] = lambda _: None,
) -> list[ReplayResult]:
    """Replay each job here, and in a process for each seed; return the results in order. Raises as `replay`."""
    results: list[ReplayResult] = []
    here: list[Replayed] = []
    with watching() as watchdog:
        for job in jobs:
            here.append(replay_history(job.workflow, job.history, codec, watchdog))
            if not seeds:
                results.append(here[-1].result)
                on_result(results[-1])
    if not seeds:
        return results
    elsewhere = [(f"hash seed {seed}", replay_under(seed, jobs, codec)) for seed in seeds]
    for index, job in enumerate(jobs):
        by_seed = [(name, replays[index]) for name, replays in elsewhere]
        divergence = compared(job.history, [*by_seed, ("the seed of this process", here[index])])
        results.append(replace(here[index].result, divergence=divergence))
        on_result(results[-1])
    return results


def _unpacked(workflow: object, history: HistorySource | None) -> tuple[Workflow[..., Any], HistorySource]:
    if isinstance(workflow, Workflow):
        if history is None:
            raise InvalidCallError(f"expected a history of {workflow!r}, got None")
        return workflow, history
    if history is None and isinstance(workflow, Executed):
        return workflow.workflow, workflow.history
    raise InvalidCallError(
        f"expected a workflow and a history, or an execution that has both, got {workflow!r} and {history!r}"
    )


def _unreadable(run: RunDescription, error: HistoryError) -> ReplayResult:
    return ReplayResult(
        workflow=run.workflow,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        status=run.status,
        divergence=Divergence(kind="unreadable", seq=0, error=str(error)),
    )
