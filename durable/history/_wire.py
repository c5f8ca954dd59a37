"""Events on the wire: one JSON object each, tagged with type and version; old versions are upcast, newer ones refused.

Reading is one pass in C for records of the current versions. Anything else takes the slow path: a known older version goes
through its upcasters, a newer one raises `FutureVersionError`, and what is no event at all raises `DamagedRecordError`.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeGuard

import msgspec
import orjson

from ..errors import DamagedRecordError, FutureVersionError
from . import _activities, _attributes, _children, _external, _markers, _messages, _runs, _timers, _updates
from ._event import Event
from ._payload import UNREADABLE

EVENTS: tuple[type[Event], ...] = (
    _runs.RunStarted,
    _runs.CancelRequested,
    _runs.RunReopened,
    _runs.RunForked,
    _runs.RunCompleted,
    _runs.RunFailed,
    _runs.RunCancelled,
    _runs.RunTerminated,
    _runs.RunTimedOut,
    _runs.RunContinuedAsNew,
    _activities.ActivityScheduled,
    _activities.ActivityRetryScheduled,
    _activities.ActivityCompleted,
    _activities.ActivityFailed,
    _activities.ActivityCancelRequested,
    _activities.ActivityCancelled,
    _activities.ActivityDeferred,
    _activities.ActivityHeartbeatRecorded,
    _activities.LocalActivityScheduled,
    _activities.LocalActivityRetryScheduled,
    _activities.LocalActivityCancelRequested,
    _activities.LocalActivityCompleted,
    _activities.LocalActivityFailed,
    _children.ChildStartRequested,
    _children.ChildStarted,
    _children.ChildStartFailed,
    _children.ChildCompleted,
    _children.ChildFailed,
    _children.ChildCancelRequested,
    _timers.TimerStarted,
    _timers.TimerFired,
    _timers.TimerCancelled,
    _messages.SignalReceived,
    _updates.UpdateAccepted,
    _updates.UpdateCompleted,
    _markers.SideEffectRecorded,
    _markers.PatchMarked,
    _attributes.AttributesUpserted,
    _external.ExternalSignalRequested,
    _external.ExternalCancelRequested,
    _external.ExternalDelivered,
    _external.ExternalFailed,
)

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Wire:
    """Reads and writes the records of a set of event classes. The package uses `WIRE`; tests make their own."""

    def __init__(self, events: tuple[type[Event], ...]) -> None:
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(reduce(lambda a, b: a | b, events))  # type: ignore[arg-type, return-value]
        self._current = {_split(tag_of(event))[0]: event for event in events}
        self._upcasters: dict[str, Upcaster] = {}

    def upcast(self, tag: str) -> Callable[[Upcaster], Upcaster]:
        """Register the decorated function for records tagged `tag`: it takes the record's fields, its "type" among them,
        and returns those of the next version, with that version's tag."""

        def register(function: Upcaster) -> Upcaster:
            self._upcasters[tag] = function
            return function

        return register

    def encode(self, event: Event) -> bytes:
        """Return `event` as one JSON object."""
        return self._encoder.encode(event)

    def decode(self, record: bytes) -> Event:
        """Return the event in `record`.

        Raises `FutureVersionError` for a type or version that this code does not know, `DamagedRecordError` for anything
        that is no event. Unknown fields of a known version are passed over; they survive in the record itself, which is
        what is copied when a history is exported (`RecordedEvent.record`).
        """
        try:
            return self._decoder.decode(record)
        except UNREADABLE as error:
            return self._decode_slowly(record, error)

    def _decode_slowly(self, record: bytes, error: Exception) -> Event:
        try:
            fields: Any = orjson.loads(record)
        except orjson.JSONDecodeError as problem:
            raise DamagedRecordError(f"a history record of {len(record)} bytes is no JSON: {problem}") from None
        if not _is_object(fields) or not isinstance(fields.get("type"), str):
            raise DamagedRecordError(f"a history record of {len(record)} bytes has no type")
        if fields["type"] in self._upcasters:
            try:
                while (upcaster := self._upcasters.get(fields["type"])) is not None:
                    fields = upcaster(dict(fields))
                return self._decoder.decode(orjson.dumps(fields))
            except Exception as problem:  # the record lacks what its version has: upcasters need not expect that
                error = problem
        name, version = _split(fields["type"])
        known = self._current.get(name)
        if known is None or version > _split(tag_of(known))[1]:
            raise FutureVersionError(
                f"the event type {fields['type']!r} is not known to this version of durable; upgrade this process"
            )
        raise DamagedRecordError(f"a history record of type {fields['type']!r} cannot be read: {error}")


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def tag_of(event: type[Event] | Event) -> str:
    """Return the wire tag of an event or its class: the name, and the version from 2 on."""
    return str(event.__struct_config__.tag)


def _split(tag: str) -> tuple[str, int]:
    name, _, version = tag.partition(".")
    return name, int(version) if version.isdigit() else 1


WIRE = Wire(EVENTS)


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event in its place: `seq` counts from 1, `record` is its stored JSON text, unknown fields and all."""

    seq: int
    event: Event
    record: bytes

    @staticmethod
    def read(seq: int, record: bytes) -> "RecordedEvent":
        """Return the event stored as `record` at `seq`. Raises as `Wire.decode`, naming `seq`."""
        try:
            return RecordedEvent(seq, WIRE.decode(record), record)
        except (DamagedRecordError, FutureVersionError) as error:
            raise type(error)(f"event {seq}: {error}") from None
