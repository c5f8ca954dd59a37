"""From a story to a finished execution."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..._runtime.options import ActivityCall
from ..._runtime.run import Run
from ...author import Workflow
from ...codec import Codec, default_codec, untyped_signature
from ...history import RunCancelled, RunCompleted, RunContinuedAsNew, RunFailed, RunTerminated, RunTimedOut, from_raw
from ._attempts import Attempts
from ._execution import (
    Cancelled,
    Completed,
    Continued,
    Entry,
    Execution,
    Failed,
    Outcome,
    Terminated,
    TimedOut,
    Waiting,
    offset,
)
from ._family import Family
from ._fates import Fates, Fresh
from ._outcomes import Outcomes
from ._story import Story
from ._world import RUN_ID, START_MS, WORKFLOW_ID, World


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
    workflows: Sequence[Workflow[..., Any]] = (),
    own: Collection[str] = (),
) -> Execution[Any]:
    """Return the execution of `workflow` that `story` tells. Raises `ExecutionError`.

    `workflows` are those whose code may be run as children; `own` names those children for which it is, unless the story tells of
    their end. `known` are activities that the workflow may call, `fresh` draws for others; without it the story must tell of all of them.
    """
    codec = codec or default_codec()

    fates = Fates(story, codec, known=known or {}, outcomes=outcomes or {}, fresh=fresh, own=own)
    worlds: list[World] = []

    def make(workflow: Workflow[..., Any], workflow_id: str, run_id: str) -> World:
        def say(text: str) -> None:
            world.log.append(Entry(world.now_ms, text, world.steps))

        world = World(
            workflow,
            story if not worlds else Story(args=story.args, crashes=story.crashes),
            codec,
            Attempts(fates, codec, start_ms=START_MS, say=say),
            name=name or root_workflow.fn.__name__,
            max_events=max_events,
            family=family,
            root=worlds[0] if worlds else None,
            workflow_id=workflow_id,
            run_id=run_id,
        )
        worlds.append(world)
        return world

    root_workflow = workflow
    family = Family({each.name: each for each in workflows}, START_MS, make)
    root = make(workflow, WORKFLOW_ID, RUN_ID)
    family.runs[WORKFLOW_ID] = root
    try:
        root.run()
        for child in worlds[1:]:
            child.finish()
        told = root.told()
        children = tuple(_execution(child, told, ()) for child in worlds[1:])
        return _execution(root, told, children)
    finally:
        for world in worlds:
            world.execution.dispose()


def _execution(world: World, story: Story, children: tuple[Execution[Any], ...]) -> Execution[Any]:
    return Execution(
        workflow=world.workflow,
        story=story,
        outcome=_outcome(world),
        history=tuple(world.history),
        calls=world.attempts.finished_calls(),
        answers=tuple(world.answers),
        duration=offset(world.ended_ms, START_MS),
        crashes=world.crashes,
        codec=world.codec,
        log=tuple(world.log),
        name=world.name,
        updates=world.updates.all,
        children=children,
    )


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
        case RunTerminated():
            return Terminated(last.reason)
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
