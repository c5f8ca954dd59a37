"""Replays a history, and says where the result differs from the run that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..._engine._watchdog import Watchdog
from ..._engine.execution import Execution as LiveExecution
from ..._engine.execution import rebuild
from ..._runtime.commands import ActivityCommand, ChildCommand, TimerCommand
from ..._runtime.run import Run
from ...author import Workflow
from ...codec import Codec
from ...history import RecordedEvent, RunFailed
from .._replay_run import replay_history

T = TypeVar("T")


class _Unwatched(Watchdog):
    """Runs steps without a thread that watches them: the code has come to the end of each of them before."""

    def run(self, label: str, step: Callable[[], T]) -> T:
        return step()


_UNWATCHED = _Unwatched()


def rebuilt(
    workflow: Workflow[..., Any], codec: Codec, history: Sequence[RecordedEvent], workflow_id: str, run_id: str
) -> LiveExecution:
    """Return the execution that `history` leads to. Raises `NonDeterminismError` and what else makes a run stuck."""
    execution = LiveExecution(workflow_id, run_id, workflow, codec)
    rebuild(execution, list(history))
    return execution


def divergence(workflow: Workflow[..., Any], codec: Codec, history: Sequence[RecordedEvent]) -> str:
    """Replay the whole of `history`, and return where the same code asks for something else now; empty if it does not.

    The values that it asks with count too: code that was not changed asks with the same ones, if it is deterministic.
    """
    result = replay_history(workflow, history, codec, _UNWATCHED).result
    if result.divergence is not None:
        return str(result.divergence)
    return "\n".join(f"other values at {drift}" for drift in result.drift)


def difference(live: LiveExecution, replayed: LiveExecution, history: Sequence[RecordedEvent]) -> str:
    """Return how two executions of one history differ: in what they wait for, or how they failed; empty if they do not."""
    one, other = live.run, replayed.run
    if one is None or other is None:
        return ""
    if not one.finished:
        before, after = _pending(one), _pending(other)
        if before != after:
            return f"it waits for {after or 'nothing'}, not for {before or 'nothing'}"
        if one.where() != other.where():
            return f"it stands at {other.where()}, not at {one.where()}"
    last = history[-1].event
    if isinstance(last, RunFailed) and isinstance(outcome := other.outcome(), RunFailed):
        texts = [f"{failure['type']}: {failure['message']}" for failure in (outcome.failure, last.failure)]
        if texts[0] != texts[1]:
            return f"it failed by {texts[0]}, not by {texts[1]}"
    return ""


def error_of(execution: LiveExecution) -> BaseException | None:
    """Return the exception that left the code of a closed run, itself, not what was recorded of it."""
    run = execution.run
    main = run._main if run is not None else None
    if run is None or main is None or run._handler_error is not None:
        return run._handler_error if run is not None else None
    return main.exception() if main.done() and not main.cancelled() else None


def _pending(run: Run) -> list[str]:
    return [_described(command) for command in run.commands.values()]


def _described(command: Any) -> str:
    match command:
        case ActivityCommand():
            left = ", left to others" if command.deferred else ""
            return f"{command.call.name} #{command.id} (attempt {command.attempt}{left})"
        case ChildCommand():
            return f"child {command.call.name} #{command.id} ({'started' if command.child_run else 'not started'})"
        case TimerCommand():
            return f"timer #{command.id}"
    return f"{type(command).__name__} #{command.id}"
