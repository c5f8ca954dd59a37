"""Other runs, as seen from workflow code."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from .._ids import checked_workflow_id
from .._runtime.commands import send_cancel, send_signal
from .._runtime.context import require_run
from .._runtime.run import Run
from ..history import to_raw
from ._signals import Signal

T = TypeVar("T")
_NOTHING: Any = None


class ExternalRun:
    """The open run of a workflow id, wherever it lives."""

    def __init__(self, workflow_id: str) -> None:
        self.workflow_id = checked_workflow_id(workflow_id)

    async def signal(self, signal: Signal[T], value: T = _NOTHING) -> None:
        """Send `signal` to the run; returns once it is in that run's inbox. Sent once, whatever crashes; never on replay.

        Raises `RunNotFoundError` or `RunClosedError` if there is no open run, `EncodeError` if the value does not fit.
        """
        await send_to(require_run("external(...).signal"), self.workflow_id, signal, value)

    async def cancel(self, reason: str = "") -> None:
        """Ask the run to cancel; returns once the request is in its inbox. Raises as `signal` does."""
        run = require_run("external(...).cancel")
        if run.around is None or run.around.cancel_external is None:
            await send_cancel(run, self.workflow_id, reason)
        else:
            await run.around.cancel(run, self.workflow_id, reason, partial(send_cancel, run, self.workflow_id))


def external(workflow_id: str) -> ExternalRun:
    """Return the open run of `workflow_id`, to signal or cancel it from workflow code. Raises `InvalidIdError`."""
    return ExternalRun(workflow_id)


def send_to(run: Run, workflow_id: str, signal: Signal[T], value: T, *, child: int | None = None) -> Awaitable[None]:
    """Record the command that sends a signal to another run, within the interceptors; `child`: see `send_signal`."""

    def send(value: Any, headers: dict[str, str] | None) -> Awaitable[None]:
        raw = to_raw(signal.encode(run.codec, value))
        return send_signal(run, workflow_id, signal.name, raw, child=child, headers=headers)

    around = run.around
    if around is None or around.signal_external is None:
        return send(value, None)
    return around.send(run, workflow_id, signal.name, value, send)
