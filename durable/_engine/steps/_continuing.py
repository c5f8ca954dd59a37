"""The close of a run that continues as new, and the start of the next one, which the same commit creates."""

from __future__ import annotations

from hashlib import blake2b

from msgspec.structs import replace

from ... import _limits
from ..._clock import ulid, ulid_ms
from ..._log import RequestCancel, StartRun
from ..._runtime.run import Run
from ...history import RunContinuedAsNew
from ..decision import Decision


def go_on_as_new(run: Run, close: RunContinuedAsNew, decision: Decision) -> RunContinuedAsNew:
    """Add the next run to the decision and return the close that names it.

    It is of the same chain: it keeps the parent, the request that began it, the chain's time, the attributes of now and the memo,
    the signals that were not read, and the ids of the last calls, whose repeats are dropped.
    """
    started, late = run.started, run.late_cancel
    run_id = next_run_id(run.run_id, close.at)
    decision.continued = StartRun(
        run_id=run_id,
        workflow=close.workflow,
        queue=close.queue,
        args=close.args,
        request=started.request,
        timeout_ms=close.timeout_ms,
        parent=started.parent,
        first_run_id=started.first_run_id or run.run_id,
        continued_from=run.run_id,
        version=close.version,
        pinned=close.pinned,
        attributes=dict(run.attributes),
        memo=started.memo,
        headers=close.headers,
        execution_timeout_ms=started.execution_timeout_ms,
        deadline_ms=run.deadline_ms,
        signals=run.signals.unread(),
        requests=run.signals.requests(_limits.REQUESTS_CARRIED_MAX),
        updates=dict(list(run.updates.taken.items())[-_limits.REQUESTS_CARRIED_MAX :]),
        cancel=None if late is None else RequestCancel(request=late.request, reason=late.reason),
    )
    return replace(close, new_run_id=run_id)


def next_run_id(run_id: str, at_ms: int) -> str:
    """Return the id of the run that continues `run_id` as new at `at_ms`: always the same, sorted by time, greater than its own.

    It is derived, not made up: a step knows no randomness. A run continues once, unless the store fell back and it continues
    again, at another time. Nothing that is named after the one (children, by the end of its id) may be named after the other:
    so the time is in the entropy too.
    """
    at_ms = max(at_ms, ulid_ms(run_id) or 0)
    made = _continued(run_id, at_ms)
    return made if made > run_id else _continued(run_id, at_ms + 1)  # within the millisecond in which it was made


def _continued(run_id: str, at_ms: int) -> str:
    return ulid(at_ms, blake2b(f"{run_id}/continued/{at_ms}".encode(), digest_size=10).digest())
