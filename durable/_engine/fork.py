"""The first step of a forked run: it takes over a part of another run's history, and goes on from there (`handle.fork`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .._log import StartRun
from .._runtime.replay import plainly, replayed
from ..errors import InternalError
from ..history import Event, RunForked, RunStarted, fork_point, forked
from ..stores import Store
from . import effects
from .decision import Decision, Delivery
from .execution import Execution
from .loading import read_history
from .steps import step


async def fork(
    store: Store,
    execution: Execution,
    message: StartRun,
    watched: Callable[[Callable[[], None]], None] = plainly,
    along: Sequence[Delivery] = (),
) -> Decision:
    """Build `execution`, which has no events yet, from the history that `message` names, and return what its first step decides.

    The code as it is now is replayed on the events up to the point; what is pending there is begun anew: activities under the
    run's own keys, timers at their old times, so that those overdue fire at once. `along` came with the start, and is
    delivered in the same step. Local activities may be pending afterwards: see `step`. Raises what makes the run stuck: a
    history that cannot be read or forked there, code that does not follow it.
    """
    source = message.fork
    if source is None or execution.seq or execution.spec is None:
        raise InternalError(f"run {execution.run_id} does not begin as a fork")
    origin = source.origin
    history = await read_history(store, source.partition, origin.run_id)
    taken = forked(history, fork_point(history, origin.event))
    now_ms = max(store.now_ms(), taken[-1].at)
    events = [_own(event, execution, message, now_ms) for event in taken]
    mark = RunForked(
        at=now_ms, workflow_id=origin.workflow_id, run_id=origin.run_id, event=origin.event, seed=execution.run_id
    )
    run = execution.run = replayed(execution.spec, execution.codec, events, watched, may_have_ended=True)
    decision = Decision(events=[*events, mark])
    execution.seq = len(decision.events)
    run.now_ms = now_ms
    run.note(mark)
    run.record_changed = True  # the record does not have the attributes and patches of those events yet
    effects.add_all(run, decision)
    step(execution, along, now_ms, decision, watched)
    return decision


def _own(event: Event, execution: Execution, message: StartRun, now_ms: int) -> Event:
    """Return an event of the source as one of the new run: its start gets the new ids and a chain's whole time, and numbers are drawn as they were."""
    if not isinstance(event, RunStarted):
        return event
    return msgspec.structs.replace(
        event,
        workflow_id=execution.workflow_id,
        run_id=execution.run_id,
        queue=message.queue,
        request=message.request,
        parent=None,
        first_run_id="",  # it is a chain of its own
        continued_from="",
        deadline_ms=None if event.execution_timeout_ms is None else now_ms + event.execution_timeout_ms,
        forked_from=message.fork.origin if message.fork is not None else None,
        seed=event.seed or event.run_id,
    )
