"""`assert_deterministic`: for a history that there is, or for executions that are drawn for the purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, overload

from ..author import Query, Signal, Update, Workflow
from ..codec import Codec
from ..errors import InvalidCallError
from ._replay import HASH_SEEDS, Executed
from ._replay import assert_deterministic as assert_one_deterministic
from ._replay_sources import HistorySource


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
@overload
def assert_deterministic(
    workflow: Workflow[..., Any],
    history: None = None,
    *,
    args: Any = None,
    activities: Mapping[Any, Any] | None = None,
    signals: Mapping[Signal[Any], Any] | Sequence[Signal[Any]] = (),
    queries: Mapping[Query[Any], Any] | Sequence[Query[Any]] = (),
    updates: Mapping[Update[Any, Any], Any] | Sequence[Update[Any, Any]] = (),
    examples: int = 200,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] | None = None,
) -> None: ...
def assert_deterministic(
    workflow: Any,
    history: Any = None,
    *,
    codec: Codec | None = None,
    hash_seeds: Iterable[int] | None = None,
    **drawn: Any,
) -> None:
    """Assert that code does the same on every replay, in this process and in processes of other hash seeds.

    Given a history, or an execution, the code is held to that one. Given a workflow alone, `examples` executions are drawn by
    Hypothesis (`args`, `activities`, `signals`, `queries` and `updates` are those of `executions`), each replayed at its crashes and
    at its end; those that differ most are replayed under each of the `hash_seeds` as well. Unless these are given, that is left
    out where another process could not import the workflow.

    Raises `ExecutionError`, an `AssertionError`, with the shortest execution that was found, and else as `replay` does.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    if history is None and isinstance(workflow, Workflow):
        from .strategies._hunt import hunt  # only this needs Hypothesis

        hunt(cast("Workflow[..., Any]", workflow), codec=codec, hash_seeds=hash_seeds, **drawn)
        return
    if drawn:
        raise InvalidCallError(f"{', '.join(drawn)}: only for a workflow alone; a history has its own")
    seeds = HASH_SEEDS if hash_seeds is None else hash_seeds
    assert_one_deterministic(workflow, history, codec=codec, hash_seeds=seeds)
