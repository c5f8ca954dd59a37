"""The updates of one execution: those that no handler takes yet, and what has become of each."""

from __future__ import annotations

from typing import Any

from ..._engine.decision import Decision, Delivery
from ..._log import SendUpdate
from ..._runtime.run import Run
from ...codec import Codec, Failure, exception_of
from ...history import UpdateAccepted, UpdateCompleted, from_raw
from ._execution import Updated
from ._story import Arrival


class Updates:
    """Sends updates, and reads what they came to from the decisions of the steps."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._held: list[Delivery] = []
        self._sent: dict[str, Updated] = {}

    @property
    def all(self) -> tuple[Updated, ...]:
        """All updates that were sent, in their order."""
        return tuple(self._sent.values())

    def take_held(self) -> list[Delivery]:
        """Return what waits for a handler: it is offered again at each step, until one is recorded."""
        return list(self._held)

    def sent(self, number: int, arrival: Arrival, after: int) -> SendUpdate:
        """Return the message of an update that arrives, after step number `after`."""
        update = f"request-{number}"
        self._sent.setdefault(update, Updated(arrival.update, after))
        return SendUpdate(name=arrival.update, value=arrival.value, update=update, reply=update)

    def note(self, decision: Decision, run: Run | None) -> list[str]:
        """A step was recorded: read its decision, and return what no history knows of, in words."""
        self._held = decision.held
        told: list[str] = []
        for event in decision.events:
            if isinstance(event, UpdateAccepted):
                self._sent[event.update].status = "accepted"
            elif isinstance(event, UpdateCompleted):
                self._complete(self._sent[event.update], event, run)
        for reply_id, reply in decision.replies:
            updated = self._sent.get(reply_id)
            if updated is not None and reply.failure is not None and updated.status == "held":
                updated.status, updated.error = "rejected", self._error(updated, reply.failure, run)
                told.append(f"update {updated.update} is rejected: {type(updated.error).__name__}: {updated.error}")
        return told

    def _complete(self, updated: Updated, event: UpdateCompleted, run: Run | None) -> None:
        if event.failure is not None:
            updated.status, updated.error = "failed", self._error(updated, event.failure, run)
        else:
            value: Any = self._codec.decode(from_raw(event.result), Any, what="the result of an update")  # type: ignore[arg-type]
            updated.status, updated.value = "completed", value

    def _error(self, updated: Updated, failure: dict[str, Any], run: Run | None) -> BaseException:
        raises = () if run is None else (*run.updates.raises_of(updated.update), *run.spec.raises)
        return exception_of(Failure.from_wire(failure), raises, self._codec)
