"""What the code computed once and must find again: side effects and patches."""

import msgspec

from ._event import CommandEvent, FailureData


class SideEffectRecorded(CommandEvent, frozen=True, kw_only=True):
    """A side effect ran and gave `value`, or raised `failure`."""

    value: msgspec.Raw
    failure: FailureData | None = None

    def summary(self) -> str:
        return f"side effect #{self.id}"


class PatchMarked(CommandEvent, frozen=True, kw_only=True):
    """The code asked `patched(name)` here for the first time, and goes the new way.

    `deprecated`: it was `deprecate_patch(name)`. Such a marker has no number (its `id` is 0), and a replay need not ask for
    it: the call can be removed from the code without a trace.
    """

    name: str
    deprecated: bool = False

    def summary(self) -> str:
        return f"deprecated patch {self.name!r}" if self.deprecated else f"patch {self.name!r} (#{self.id})"
