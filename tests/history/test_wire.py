"""Events on the wire: one JSON object each, old versions brought up to date, newer ones and damage refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import Payload
from durable.errors import DamagedRecordError, FutureVersionError
from durable.history import (
    EVENTS,
    WIRE,
    ActivityCompleted,
    ActivityScheduled,
    Event,
    RecordedEvent,
    TimerStarted,
    Wire,
    from_raw,
    null,
    tag_of,
    to_raw,
)


class Moved(Event, frozen=True, kw_only=True, tag="Moved.3"):
    """An event of a private wire, in its third version."""

    to: str
    by: str = "foot"


def private_wire() -> Wire:
    """Return a wire with two earlier versions of `Moved`."""
    wire = Wire((Moved,))

    @wire.upcast("Moved")
    def _second(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "type": "Moved.2", "to": fields.pop("where")}

    @wire.upcast("Moved.2")
    def _third(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "type": "Moved.3", "by": "horse"}

    return wire


def test_an_event_is_one_readable_json_object() -> None:
    """With its type, its time, and no field that says nothing."""
    record = WIRE.encode(TimerStarted(at=5, id=1, due_ms=1000))
    assert json.loads(record) == {"type": "TimerStarted", "at": 5, "id": 1, "due_ms": 1000}


def test_a_payload_stands_in_the_record_as_it_is() -> None:
    """JSON in JSON, not JSON in a string."""
    record = WIRE.encode(ActivityCompleted(at=1, id=2, result=to_raw(Payload(b'{"paid":[1,2]}'))))
    assert json.loads(record)["result"] == {"paid": [1, 2]}


def test_every_event_has_a_tag_of_its_own() -> None:
    """Two classes of one tag could not be told apart."""
    tags = [tag_of(event) for event in EVENTS]
    assert len(tags) == len(set(tags))
    assert all(tag.partition(".")[0] == event.__name__ for tag, event in zip(tags, EVENTS, strict=True))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_survives_the_wire(event: type[Event]) -> None:
    """Written and read, it is the same, whatever it holds."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(event):
        if field.type is int:
            values[field.name] = 7
        elif field.type is str:
            values[field.name] = "text"
        elif field.type is msgspec.Raw:
            values[field.name] = msgspec.Raw(b'{"a":[1]}')
        elif field.required:
            values[field.name] = {"type": "builtins.ValueError", "message": "no"}
    made = event(**values)
    again = WIRE.decode(WIRE.encode(made))
    assert type(again) is event
    for name in event.__struct_fields__:
        before, after = getattr(made, name), getattr(again, name)
        assert (bytes(before) == bytes(after)) if isinstance(before, msgspec.Raw) else before == after


def test_a_record_of_an_older_version_is_brought_up_to_date() -> None:
    """By as many steps as it takes."""
    wire = private_wire()
    assert wire.decode(b'{"type":"Moved","at":1,"where":"Rome"}') == Moved(at=1, to="Rome", by="horse")
    assert wire.decode(b'{"type":"Moved.2","at":1,"to":"Rome"}') == Moved(at=1, to="Rome", by="horse")
    assert wire.decode(wire.encode(Moved(at=1, to="Rome"))) == Moved(at=1, to="Rome", by="foot")


@pytest.mark.parametrize("record", [b'{"type":"Moved.4","at":1}', b'{"type":"Flew","at":1}', b'{"type":"Moved.40"}'])
def test_a_record_of_a_newer_version_asks_for_an_upgrade(record: bytes) -> None:
    """A version or a type that this code does not know was written by a newer one."""
    with pytest.raises(FutureVersionError, match="upgrade") as caught:
        private_wire().decode(record)
    assert json.loads(record)["type"] in str(caught.value)


@pytest.mark.parametrize(
    "record",
    [
        b"", b"\x00\xff", b"[]", b"5", b'"Moved.3"', b"{}", b'{"type":5}', b'{"type":"Moved.3","at":1}',
        b'{"type":"Moved.3","at":"soon","to":"Rome"}', b'{"type":"Moved.3","at":1,"to":"Ro', b'{"type":"Moved","at":1}',
        b'{"type":"Moved.2","at":1}', b'{"type":"Moved.1","at":1}', b'{"type":"Moved.3","at":1,"to":"\xff"}',
        b'{"type":"Moved.3","at":1,"to":' + b"[" * 100_000, b'{"type":"Moved.3","at":1,"to":"a","of_later":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_record_is_told_from_everything_else(record: bytes) -> None:
    """Also one that no upcaster can make sense of."""
    with pytest.raises(DamagedRecordError):
        private_wire().decode(record)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever a disk makes of a record."""
    for record in (data, b'{"type":"TimerStarted","at":1,' + data, b'{"type":"Moved",' + data):
        for wire in (WIRE, private_wire()):
            try:
                wire.decode(record)
            except (DamagedRecordError, FutureVersionError):
                continue


def test_a_recorded_event_keeps_fields_that_this_version_does_not_know() -> None:
    """They are passed over when it is read, and are there when the record is copied."""
    record = b'{"type":"TimerStarted","at":1,"id":2,"due_ms":3,"of_later":{"x":[1]}}'
    recorded = RecordedEvent.read(4, record)
    assert recorded.event == TimerStarted(at=1, id=2, due_ms=3)
    assert recorded.record == record
    assert recorded.seq == 4


def test_the_error_of_a_recorded_event_names_its_number() -> None:
    """So that people find it."""
    with pytest.raises(DamagedRecordError, match=r"event 9: .*no JSON"):
        RecordedEvent.read(9, b"nonsense")
    with pytest.raises(FutureVersionError, match=r"event 9: .*'Later'"):
        RecordedEvent.read(9, b'{"type":"Later","at":1}')


# --- payloads


@pytest.mark.parametrize(
    "payload",
    [
        Payload(b"null"), Payload(b"5"), Payload(b'"text"'), Payload(b'{"a":1}'), Payload(b'{"$codec":"pickle","data":"AA=="}'),
        Payload(b'{"$codec":5}'), Payload(b'{"$codec":{"deep":1},"x":2}'), Payload(b'{"a":{"$codec":"x"}}'),
        Payload(b"\x80\x04K\x05.", "pickle"), Payload(b"", "raw"), Payload(b'{"a":1}', "json+gzip"),
    ],
)  # fmt: skip
def test_a_payload_survives_being_embedded(payload: Payload) -> None:
    """Objects that begin with "$codec" are data like any other."""
    event = ActivityScheduled(at=1, id=1, activity="a", queue="q", args=to_raw(payload))
    record = WIRE.encode(event)
    json.loads(record)
    again = WIRE.decode(record)
    assert isinstance(again, ActivityScheduled)
    assert from_raw(again.args) == payload


@given(data=st.binary(max_size=40), encoding=st.text(min_size=1, max_size=8).filter(lambda text: text != "json"))
def test_any_bytes_of_another_encoding_survive(data: bytes, encoding: str) -> None:
    """Base64, and the name of the encoding."""
    assert from_raw(msgspec.Raw(bytes(to_raw(Payload(data, encoding))))) == Payload(data, encoding)


def test_a_damaged_wrapping_is_told() -> None:
    """It is no payload, and no other value either."""
    for text in (b'{"$codec":"x"}', b'{"$codec":"x","data":5}', b'{"$codec":5,"data":"AA=="}'):
        with pytest.raises(DamagedRecordError):
            from_raw(msgspec.Raw(text))


def test_nothing_is_a_payload_as_well() -> None:
    """The payload of None."""
    assert from_raw(null()) == Payload(b"null")
