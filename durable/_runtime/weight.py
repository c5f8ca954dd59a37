"""How much an event weighs in a history: its payloads, and a fixed amount for the rest.

Not the stored size, which a step cannot know of what it is about to write. `info()` shows the sum to the code, which may decide
by it: what is here never changes for an event that is in use.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ..history import (
    ActivityCompleted,
    ActivityScheduled,
    Event,
    LocalActivityCompleted,
    LocalActivityScheduled,
    RunStarted,
    SideEffectRecorded,
    SignalReceived,
)

BASE_BYTES = 150  # what a stored event has beside its payloads, by and large

_PAYLOAD: dict[type, Callable[[Any], bytes]] = {
    ActivityScheduled: attrgetter("args"),
    ActivityCompleted: attrgetter("result"),
    LocalActivityScheduled: attrgetter("args"),
    LocalActivityCompleted: attrgetter("result"),
    SignalReceived: attrgetter("value"),
    SideEffectRecorded: attrgetter("value"),
}


def weight_of(event: Event) -> int:
    """Return about how many bytes `event` takes; the same wherever the event comes from."""
    payload = _PAYLOAD.get(type(event))
    if payload is not None:
        return BASE_BYTES + len(payload(event))
    if isinstance(event, RunStarted):
        signals = sum(BASE_BYTES + len(bytes(signal.value)) for signal in event.signals)
        return BASE_BYTES + len(bytes(event.args)) + signals
    return BASE_BYTES
