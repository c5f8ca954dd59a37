"""The step of an update: rejected without a trace, accepted, or held until it has a handler."""

from __future__ import annotations

from ..._log import QueryReply, SendUpdate, accepted_reply
from ..._runtime.run import Run
from ...codec import Codec, failure_of
from ...errors import RequestFailedError, RunClosedError
from ...history import UpdateAccepted
from ..decision import Decision, Delivery
from ..execution import Execution
from ._deliver import deliver, open_run


def offer(execution: Execution, delivery: Delivery, now_ms: int, decision: Decision) -> bool:
    """Offer an update to the run; False if nobody handles its name yet: then it is to be held (`Decision.held`).

    It stays in the inbox, since a rejection must leave no trace, and is offered again after what may have made a handler.
    """
    message = delivery.message
    assert isinstance(message, SendUpdate)
    run = open_run(execution)
    if run is None:
        decision.replies.append((message.reply, closed_reply(execution.workflow_id, execution.codec)))
        return True
    accepted_by = run.updates.taken_by(message.update)
    if accepted_by is not None:
        decision.replies.append((message.reply, accepted_reply(accepted_by)))
        return True
    if run.continuing is not None or not run.updates.handles(message.name):
        return False
    refused = run.updates.check(message.name, message.value)
    if refused is not None:
        error, raises = refused
        failure = failure_of(error, execution.codec, known=(*raises, *run.spec.raises))
        decision.replies.append((message.reply, QueryReply(failure=failure.as_wire())))
        return True
    decision.replies.append((message.reply, accepted_reply(run.run_id, execution.seq + 1)))
    event = UpdateAccepted(
        at=now_ms, update=message.update, name=message.name, value=message.value, headers=message.headers
    )
    deliver(execution, event, decision)
    return True


def offer_held(execution: Execution, now_ms: int, decision: Decision) -> None:
    """Offer the held updates once more: what was delivered since may have made their handlers."""
    tried = -1
    while decision.held and execution.seq != tried:
        tried = execution.seq
        held, decision.held = decision.held, []
        decision.held = [delivery for delivery in held if not offer(execution, delivery, now_ms, decision)]


def refuse_held(execution: Execution, run: Run, decision: Decision) -> None:
    """The run has closed: nobody will handle the updates that it held, so their callers are told which ones there were.

    If it continued as new, they are told only that it is closed: then they ask the current run of the chain.
    """
    held, decision.held = decision.held, []
    for delivery in held:
        message = delivery.message
        assert isinstance(message, SendUpdate)
        if decision.continued is not None:
            decision.replies.append((message.reply, closed_reply(execution.workflow_id, execution.codec)))
            continue
        known = ", ".join(run.updates.names) or "none"
        error = RequestFailedError(
            f"the run ended as {execution.closed} and never had a handler for update {message.name!r}; it had: {known}"
        )
        decision.replies.append((message.reply, QueryReply(failure=failure_of(error, execution.codec).as_wire())))


def closed_reply(workflow_id: str, codec: Codec) -> QueryReply:
    """Return the answer to a message that found no open run."""
    error = RunClosedError(f"the run of {workflow_id!r} is closed: it takes no more messages")
    return QueryReply(failure=failure_of(error, codec).as_wire())
