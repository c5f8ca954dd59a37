"""Steps of what callers send: signals and queries."""

from __future__ import annotations

from ..._log import AskQuery, QueryReply, SendSignal
from ...codec import failure_of
from ...errors import RequestFailedError
from ...history import SignalReceived, to_raw
from ..decision import Decision
from ..execution import Execution
from ._deliver import deliver, live, open_run
from ._table import Handlers


def _signal(execution: Execution, message: SendSignal, now_ms: int, decision: Decision) -> None:
    run = open_run(execution)
    if run is not None and not run.signals.knows(message.request):
        event = SignalReceived(
            at=now_ms, name=message.name, request=message.request, value=message.value, headers=message.headers
        )
        deliver(execution, event, decision)


def _query(execution: Execution, message: AskQuery, now_ms: int, decision: Decision) -> None:
    run = live(execution)
    try:
        if run.spoiled:
            raise RequestFailedError("another query has just changed the run, which is loaded anew: ask again")
        reply = QueryReply(result=to_raw(run.query(message.name, message.args)))
    except Exception as error:  # the handler's own: it is told to the caller and changes nothing
        reply = QueryReply(failure=failure_of(error, execution.codec).as_wire())
    decision.replies.append((message.reply, reply))


HANDLERS: Handlers = {SendSignal: _signal, AskQuery: _query}
