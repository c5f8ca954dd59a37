"""Other runs, as seen from workflow code."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from .._ids import checked_workflow_id
from .._runtime.commands import send_cancel, send_signal
from .._runtime.context import require_run
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
        run = require_run("external(...).signal")

        def send(value: Any, headers: dict[str, str] | None) -> Awaitable[None]:
            return send_signal(
                run, self.workflow_id, signal.name, to_raw(signal.encode(run.codec, value)), headers=headers
            )

        around = run.around
        if around is None or around.signal_external is None:
            await send(value, None)
        else:
            await around.send(run, self.workflow_id, signal.name, value, send)

    async def cancel(self, reason: str = "") -> None:
        """Ask the run to cancel; returns once the request is in its inbox. Raises as `signal` does."""
        await send_cancel(require_run("external(...).cancel"), self.workflow_id, reason)


def external(workflow_id: str) -> ExternalRun:
    """Return the open run of `workflow_id`, to signal or cancel it from workflow code. Raises `InvalidIdError`."""
    return ExternalRun(workflow_id)
