"""What a codec must do, and the payload that it makes."""

from typing import Any, NamedTuple, Protocol


class Payload(NamedTuple):
    """A value on the wire. `encoding` is "json" (then `data` is JSON text, kept in place) or a codec's own tag (any bytes)."""

    data: bytes
    encoding: str = "json"


class Codec(Protocol):
    """Turns values into payloads and back, by the declared types. Pure: no I/O, no clock."""

    def encode(self, value: Any, hint: Any, *, what: str) -> Payload:
        """Return `value` as a payload. `hint` is its declared type (`Any` if there is none); `what` names it in errors.

        Raises `EncodeError` or `PayloadTooLargeError`, naming `what` and the type or size.
        """
        ...

    def decode(self, payload: Payload, hint: Any, *, what: str) -> Any:
        """Return the value of type `hint`. Raises `DecodeError` naming `what` and the path inside the value."""
        ...
