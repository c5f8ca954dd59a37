"""Whether a run has what was sent to it: told from its history, also after it has closed."""

from __future__ import annotations

from .. import _limits
from ..errors import HistoryError
from ..history import WIRE, RunStarted
from ..stores import Store


async def has_recorded(store: Store, partition: int, run_id: str, request: str) -> bool:
    """Return whether `run_id` has what the call `request` sent: a signal, a cancellation, a termination.

    Its history has the event, or says that an earlier run of its chain has it (of the last `REQUESTS_CARRIED_MAX` calls).

    This is what a sender asks whose first try may have been applied, and whose next one finds the run closed.
    """
    if not request:
        return False
    seq = 0
    # JSON may escape characters of an id that a user chose, so only a plain one can be looked for as it is.
    needle = request.encode() if request.isascii() and request.isprintable() and not set(request) & set('"\\') else b""
    while True:
        page = await store.read(partition, run_id, after=seq, limit=_limits.HISTORY_PAGE_EVENTS)
        for record in page:
            if needle in record and _is_of(record, request):
                return True
        seq += len(page)
        if len(page) < _limits.HISTORY_PAGE_EVENTS:
            return False


def _is_of(record: bytes, request: str) -> bool:
    try:
        event = WIRE.decode(record)
    except HistoryError:  # it is not this question that finds the damage
        return False
    if isinstance(event, RunStarted):
        known = {request, f"cancel/{request}"}
        return not known.isdisjoint(event.requests) or any(signal.request == request for signal in event.signals)
    return getattr(event, "request", None) == request
