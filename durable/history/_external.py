"""What a run sends to others: asked for, then delivered to the other run's inbox or refused."""

import msgspec

from ._event import CommandEvent, FailureData, Inbound


class ExternalSignalRequested(CommandEvent, frozen=True, kw_only=True):
    """The code sends the signal `name` to the open run of `workflow_id`; with `child`, to that child of its own and no other run."""

    workflow_id: str
    name: str
    value: msgspec.Raw
    child: int | None = None  # the number of its start command
    headers: dict[str, str] | None = None

    def summary(self) -> str:
        return f"signal {self.name!r} to {self.workflow_id!r} (#{self.id})"


class ExternalCancelRequested(CommandEvent, frozen=True, kw_only=True):
    """The code asks the open run of `workflow_id` to cancel."""

    workflow_id: str
    reason: str = ""

    def summary(self) -> str:
        return f"cancellation of {self.workflow_id!r} (#{self.id})"


class ExternalDelivered(Inbound, frozen=True, kw_only=True):
    """What command `id` sent is in the other run's inbox."""

    id: int


class ExternalFailed(Inbound, frozen=True, kw_only=True):
    """What command `id` sent could not be delivered: there is no such run, or it is closed."""

    id: int
    failure: FailureData
