"""Updates: accepted, then completed by the run's code. One that is rejected leaves no event."""

import msgspec

from ._event import CommandEvent, FailureData, Inbound


class UpdateAccepted(Inbound, frozen=True, kw_only=True):
    """The run took the update `name`, and its handler begins. `update` is the id that the caller gave it: a repeat is dropped."""

    update: str
    name: str
    value: msgspec.Raw
    headers: dict[str, str] | None = None


class UpdateCompleted(CommandEvent, frozen=True, kw_only=True):
    """The handler of the update with the id `update` ended: with `result`, or with `failure`."""

    update: str
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    failure: FailureData | None = None

    def summary(self) -> str:
        return f"the end of update {self.update!r} (#{self.id})"
