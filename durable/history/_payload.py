"""How a payload stands inside a record: JSON in place, anything else as a tagged base64 string.

A JSON payload is embedded as it is. Another encoding stands as `{"$codec": "<encoding>", "data": "<base64>"}`; a JSON
object that itself begins with the key "$codec" is wrapped the same way under the encoding "json", so nothing is ambiguous.
"""

import msgspec

from ..codec import Payload
from ..errors import DamagedRecordError

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no record of ours may raise: no JSON or another shape, no UTF-8, nested without an end."""

_PREFIX = b'{"$codec":'
_NULL = msgspec.Raw(b"null")


class _Wrapped(msgspec.Struct, frozen=True, rename={"codec": "$codec"}):
    codec: str
    data: bytes


_decoder = msgspec.json.Decoder(_Wrapped)


def to_raw(payload: Payload) -> msgspec.Raw:
    """Return `payload` as JSON text to embed in a record."""
    data, encoding = payload
    if encoding == "json" and not data.startswith(_PREFIX):
        return msgspec.Raw(data)
    return msgspec.Raw(msgspec.json.encode(_Wrapped(encoding, data)))


def from_raw(raw: msgspec.Raw) -> Payload:
    """Return the payload that `to_raw` embedded. Raises `DamagedRecordError` if it is no payload."""
    data = bytes(raw)
    if not data.startswith(_PREFIX):
        return Payload(data)
    try:
        wrapped = _decoder.decode(data)
    except UNREADABLE as error:
        raise DamagedRecordError(f"a payload with an encoding cannot be read: {error}") from None
    return Payload(wrapped.data, wrapped.codec)


def null() -> msgspec.Raw:
    """Return the payload of None."""
    return _NULL
