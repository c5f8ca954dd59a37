"""What every event is: a frozen, tagged, versioned record with the time at which it was recorded."""

from typing import Any, ClassVar, Literal

import msgspec

Role = Literal["inbound", "command", "note", "close"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    """A fact in a run's history. `at` is the store's time in ms since the epoch.

    `role` says how replay treats it: an *inbound* event is delivered to the code; a *command* must be asked for by the
    code again; a *close* ends the run; a *note* changes neither. The tag is the class name, with ".2" and so on from
    version 2 on: a shipped event never changes, its next version is a new class and the old one an upcaster
    (`_wire.upcast`).
    """

    role: ClassVar[Role] = "note"

    at: int


class Inbound(Event, frozen=True, kw_only=True):
    """Something that happened outside and is delivered to the run's code."""

    role: ClassVar[Role] = "inbound"


class CommandEvent(Event, frozen=True, kw_only=True):
    """Something that the run's code asked for. `id` numbers the commands of a run: 1, 2, 3 ... in the order they were issued."""

    role: ClassVar[Role] = "command"

    id: int

    def summary(self) -> str:
        """Return the command as it is shown to people, for instance in a `NonDeterminismError`."""
        return f"{type(self).__name__} #{self.id}"


FailureData = dict[str, Any]  # `durable.codec.Failure.as_wire()`
