"""Hunts for what no replay would repeat, by drawing executions and nothing but that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ...author import Query, Signal, Update, Workflow
from ...codec import Codec, default_codec
from ...errors import DefinitionError
from .._replay import HASH_SEEDS
from .._replay_batch import Batch
from .._replay_seeds import Job, checked_seeds
from ._execution import Execution, ExecutionError
from ._strategy import executions

_KEPT_MAX = 50  # executions that are replayed under other hash seeds: one process a seed replays them all


def hunt(
    workflow: Workflow[..., Any],
    args: Any = None,
    *,
    activities: Mapping[Any, Any] | None = None,
    signals: Mapping[Signal[Any], Any] | Sequence[Signal[Any]] = (),
    queries: Mapping[Query[Any], Any] | Sequence[Query[Any]] = (),
    updates: Mapping[Update[Any, Any], Any] | Sequence[Update[Any, Any]] = (),
    examples: int = 200,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] | None = None,
) -> None:
    """See `assert_deterministic` for a workflow alone."""
    strategy = executions(
        workflow, args, activities=activities, signals=signals, queries=queries, updates=updates, codec=codec
    )
    failures: list[ExecutionError] = []
    kept: dict[tuple[str, ...], Execution[Any]] = {}

    @settings(max_examples=examples, database=None, deadline=None, phases=(Phase.generate, Phase.shrink))
    @given(execution=_noted(strategy, failures))
    def draw(execution: Execution[Any]) -> None:
        shape = tuple(type(recorded.event).__name__ for recorded in execution.history)
        if shape not in kept or len(str(execution.story)) < len(str(kept[shape].story)):
            kept[shape] = execution

    # What was found is not left to Hypothesis to report: code that depends on something outside may well pass when its
    # failing example is tried again.
    try:
        draw()
    except Exception:
        if not failures:
            raise
    if failures:
        shortest = min(failures, key=lambda error: (error.events, len(str(error.story))))
        raise shortest
    found, codec = list(kept.values()), codec or default_codec()
    if hash_seeds is not None:
        _under_seeds(workflow, found, codec, checked_seeds(hash_seeds))
        return
    try:
        _under_seeds(workflow, found, codec, HASH_SEEDS)
    except DefinitionError:
        return  # no other process finds the workflow, and nobody insisted


@st.composite
def _noted(draw: Any, strategy: SearchStrategy[Execution[Any]], failures: list[ExecutionError]) -> Execution[Any]:
    try:
        execution: Execution[Any] = draw(strategy)
    except ExecutionError as error:
        failures.append(error)
        raise
    return execution


def _under_seeds(
    workflow: Workflow[..., Any], found: Sequence[Execution[Any]], codec: Codec, seeds: Sequence[int]
) -> None:
    """Replay the executions in processes of other hash seeds. Raises `ExecutionError` with the shortest that differs."""
    if not seeds:
        return
    by_length = sorted(found, key=lambda execution: len(execution.history))
    kept = by_length[:: max(1, len(by_length) // _KEPT_MAX)]
    batch = Batch(codec, seeds, len(kept))
    for execution in kept:
        batch.add(Job(workflow, execution.history))
    for execution, result in zip(kept, batch.results(), strict=True):
        if not result.ok:
            raise ExecutionError(
                f"{result.divergence}\n\n{execution.timeline()}\n\nTo make this execution again:\n{execution!r}",
                story=execution.story,
                events=len(execution.history),
            )
