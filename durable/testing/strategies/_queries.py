"""Queries: they are answered outside of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._engine.decision import Decision, Delivery
from ..._engine.steps import step
from ..._log import AskQuery
from ...codec import Failure, exception_of
from ...history import from_raw
from ._execution import Answer, Entry
from ._story import Arrival

if TYPE_CHECKING:
    from ._world import World


def ask(world: World, number: int, arrival: Arrival) -> None:
    """Have a query answered, which may change nothing. Raises `ExecutionError` if it does."""
    run = world.execution.run
    if run is None:
        return
    decision = Decision()
    message = AskQuery(name=arrival.query, args=arrival.value, reply=f"request-{number}")
    step(world.execution, [Delivery(world.workflow_id, message)], world.now_ms, decision)
    reply = decision.replies[0][1]
    if run.spoiled:
        error = exception_of(Failure.from_wire(reply.failure), (), world.codec)
        raise world.broken(f"the query {arrival.query!r} changed the run: a query may only read", error)
    if reply.failure is not None:
        answer = Answer(
            arrival.query, world.steps, error=exception_of(Failure.from_wire(reply.failure), (), world.codec)
        )
    else:
        value = world.codec.decode(from_raw(reply.result), Any, what="answer")  # type: ignore[arg-type]
        answer = Answer(arrival.query, world.steps, value)
    world.answers.append(answer)
    text = (
        f"query {arrival.query} answered: {answer.value!r}"
        if answer.error is None
        else f"query {arrival.query} failed: {answer.error}"
    )
    world.log.append(Entry(world.now_ms, text, world.steps))
