"""Steps of what callers send: signals and queries."""

from __future__ import annotations

import msgspec

from ..._log import CONTINUED, HANDLERS_QUERY, AskQuery, QueryReply, SendSignal
from ..._runtime.run import Run
from ...codec import failure_of
from ...errors import RequestFailedError
from ...history import SignalReceived, to_raw
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, open_run
from ._local import pending_local
from ._table import Handlers
from ._updates import closed_reply


def _signal(execution: Execution, message: SendSignal, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is not None and not run.signals.knows(message.request):
        event = SignalReceived(
            at=now_ms, name=message.name, request=message.request, value=message.value, headers=message.headers
        )
        deliver(execution, event, decision)


def _query(execution: Execution, message: AskQuery, now_ms: int, decision: Decision) -> None:
    run = execution.run
    if run is None:  # its start is still to come, as after a store fell back: that it was asked does not make it stuck
        error = RequestFailedError(f"run {execution.run_id} of {execution.workflow_id!r} has not begun yet: ask again")
        decision.replies.append((message.reply, QueryReply(failure=failure_of(error, execution.codec).as_wire())))
        return
    if _has_gone_on(execution, run):
        decision.replies.append((message.reply, closed_reply(execution.workflow_id, execution.codec)))
        return
    try:
        if run.spoiled:
            raise RequestFailedError("another query has just changed the run, which is loaded anew: ask again")
        answer = (
            handlers_of(run)
            if message.name == HANDLERS_QUERY
            else to_raw(run.query(message.name, message.args, message.headers))
        )
        reply = QueryReply(result=answer)
    except Exception as error:  # the handler's own: it is told to the caller and changes nothing
        reply = QueryReply(failure=failure_of(error, execution.codec).as_wire())
    decision.replies.append((message.reply, reply))


def _has_gone_on(execution: Execution, run: Run) -> bool:
    """Return whether the run has continued as new, or does so in this step: then it is for the current run of its chain to answer."""
    if execution.closed:
        return execution.closed == CONTINUED
    return run.continuing is not None and run.finished and not pending_local(execution)


def handlers_of(run: Run) -> msgspec.Raw:
    """Return the names that the run takes messages for now, by kind; "*" stands for a dynamic handler."""
    known = {
        "signals": run.signals.names + ["*"] * run.signals.has_dynamic,
        "queries": run.queries.names + ["*"] * run.queries.has_dynamic,
        "updates": run.updates.names + ["*"] * run.updates.has_dynamic,
    }
    return msgspec.Raw(msgspec.json.encode(known))


HANDLERS: Handlers = {SendSignal: _signal, AskQuery: _query}
