"""From a story to a finished execution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._runtime.options import ActivityCall
from ..._runtime.run import Run
from ...author import Workflow
from ...codec import Codec, default_codec, untyped_signature
from ...history import RunCancelled, RunCompleted, RunContinuedAsNew, RunFailed, RunTimedOut, from_raw
from ._attempts import Attempts, Fresh
from ._execution import Cancelled, Completed, Continued, Entry, Execution, Failed, Outcome, TimedOut, Waiting, offset
from ._outcomes import Outcomes
from ._story import Story
from ._world import START_MS, World


def play(
    workflow: Workflow[..., Any],
    story: Story,
    *,
    codec: Codec | None = None,
    outcomes: Mapping[str, Outcomes] | None = None,
    known: Mapping[str, ActivityCall] | None = None,
    fresh: Fresh | None = None,
    name: str = "",
    max_events: int = 1_000,
) -> Execution[Any]:
    """Return the execution of `workflow` that `story` tells. Raises `ExecutionError`.

    `known` are activities that the workflow may call, `fresh` draws for others; without it the story must tell of all of them.
    """
    codec = codec or default_codec()

    def say(text: str) -> None:
        world.log.append(Entry(world.now_ms, text, world.steps))

    attempts = Attempts(
        story, codec, start_ms=START_MS, known=known or {}, outcomes=outcomes or {}, fresh=fresh, say=say
    )
    world = World(workflow, story, codec, attempts, name=name or workflow.fn.__name__, max_events=max_events)
    try:
        world.run()
        return Execution(
            workflow=workflow,
            story=world.told(),
            outcome=_outcome(world),
            history=tuple(world.history),
            calls=attempts.finished_calls(),
            answers=tuple(world.answers),
            duration=offset(world.now_ms, START_MS),
            crashes=world.crashes,
            codec=codec,
            log=tuple(world.log),
            name=world.name,
            updates=world.updates.all,
        )
    finally:
        world.execution.dispose()


def _outcome(world: World) -> Outcome[Any]:
    last = world.history[-1].event
    match last:
        case RunCompleted():
            signature = world.workflow.signature
            return Completed(signature.decode_result(world.codec, from_raw(last.result), what="the result"))
        case RunFailed():
            assert world.error is not None
            return Failed(world.error)
        case RunCancelled():
            return Cancelled()
        case RunTimedOut():
            return TimedOut()
        case RunContinuedAsNew():
            own = last.workflow == world.workflow.name
            taken = world.workflow.signature if own else untyped_signature()
            args, kwargs = taken.decode_call(world.codec, from_raw(last.args), what=f"workflow {last.workflow}")
            return Continued(last.workflow, args, kwargs)
    run = world.execution.run
    assert run is not None
    return Waiting(_waits_on(run), cut_off=world.cut_off)


def _waits_on(run: Run) -> tuple[str, ...]:
    signals = [f"signal {name!r}" for name in run.signals.awaited]
    where = run.where()
    return (*signals, *([where] if where else []))
