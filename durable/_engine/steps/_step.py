"""The step: a run and its new messages in, a decision out. Pure: no await, no store, no clock (DESIGN §3).

Messages that a caller sent (signals, updates, cancellations) go first, in their order: so a run that is about to close sees what
was acknowledged before (DESIGN §5). If the code ends while some are left, they are delivered all the same, before the close.
A time limit goes after what else has come: a result that was there in time counts, though nobody was there to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..._log import AskQuery, RequestCancel, RunTimeoutDue, SendSignal, SendUpdate, StartRun
from ..._runtime.replay import plainly
from ...errors import DamagedRecordError, InternalError
from ..decision import Damaged, Decision, Delivery
from ..execution import Execution
from ..record import add_record_changes
from . import _activities, _children, _deferred, _external, _lifecycle, _local, _messages, _timers
from ._ending import close_if_ended
from ._table import Handlers
from ._updates import offer, offer_held, refuse_held

PORTION = 1_000  # messages delivered under one watch: a tenth of a second, if the code does little with each

_CALLERS = (SendSignal, SendUpdate, RequestCancel)
_HANDLERS: Handlers = {
    **_lifecycle.HANDLERS,
    **_messages.HANDLERS,
    **_activities.HANDLERS,
    **_deferred.HANDLERS,
    **_local.HANDLERS,
    **_timers.HANDLERS,
    **_external.HANDLERS,
    **_children.HANDLERS,
}


def step(
    execution: Execution,
    deliveries: Sequence[Delivery],
    now_ms: int,
    decision: Decision,
    watched: Callable[[Callable[[], None]], None] = plainly,
) -> None:
    """Deliver `deliveries` to `execution` and add what follows to `decision`.

    `watched` runs the code, in portions: that there are many messages must not look like code that never ends.

    Raises what makes the run stuck; the execution and the decision must be thrown away then. If local activities are
    pending afterwards (`pending_local`), the step is not over: run them, `deliver_local` each, then `finish`.
    """
    if execution.run is not None and now_ms < execution.run.now_ms:
        now_ms = execution.run.now_ms  # the store's clock went back: a run's time does not
    if len(deliveries) > 1:
        deliveries = sorted(deliveries, key=_rank)  # queries last: they see the latest state, and one may spoil the run
    for first in range(0, len(deliveries), PORTION):
        portion = deliveries if len(deliveries) <= PORTION else deliveries[first : first + PORTION]
        watched(partial(_handle, execution, portion, now_ms, decision))
    if decision.held and not execution.closed:
        watched(partial(offer_held, execution, now_ms, decision))
    finish(execution, decision)
    if execution.run is not None and execution.run.spoiled:
        execution.dispose()


def deliver_more(execution: Execution, deliveries: Sequence[Delivery], now_ms: int, decision: Decision) -> None:
    """Deliver `deliveries` to a step that is held open. Raises as `step` does."""
    _handle(execution, deliveries, now_ms, decision)
    if decision.held and not execution.closed:
        offer_held(execution, now_ms, decision)


def _handle(execution: Execution, deliveries: Sequence[Delivery], now_ms: int, decision: Decision) -> None:
    for delivery in deliveries:
        if delivery.due_key:
            decision.dues_removed.append(delivery.due_key)
        if type(delivery.message) is SendUpdate:
            if not offer(execution, delivery, now_ms, decision):
                decision.held.append(delivery)
            continue
        handler = _HANDLERS.get(type(delivery.message))
        if handler is None:
            if isinstance(delivery.message, Damaged):
                raise DamagedRecordError(delivery.message.problem)
            raise InternalError(f"no step for a {type(delivery.message).__name__}")
        handler(execution, delivery.message, now_ms, decision)


def finish(execution: Execution, decision: Decision) -> None:
    """Note what the run's record is to say from now on, and close the run if its code has ended and nothing holds it open.

    A closed one answers what it still held.
    """
    run = execution.run
    if run is None:
        return
    if run.record_changed:
        add_record_changes(execution, run, decision)
    close_if_ended(execution, run, decision)
    if execution.closed and decision.held:
        refuse_held(execution, run, decision)


def _rank(delivery: Delivery) -> int:
    kind = type(delivery.message)
    return (
        0
        if kind is StartRun
        else 1
        if kind in _CALLERS
        else 4
        if kind is AskQuery
        else 3
        if kind is RunTimeoutDue
        else 2
    )
