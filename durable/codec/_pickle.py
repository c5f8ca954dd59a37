"""A codec for trusted programs that must pass what JSON cannot hold: signed pickles, for such values only."""

import hmac
import pickle
import sys
from types import ModuleType
from typing import Any

from .. import _limits
from ..errors import DecodeError, EncodeError, InvalidCallError
from ._json import JsonCodec, is_unsupported, too_large
from ._plan import hint_name, type_name
from ._protocol import Payload

_ENCODING = "pickle"
_KEY_BYTES_MIN = 16
_MAC_BYTES = 32
_PURPOSE = b"durable/pickle/1\0"  # the same key may sign other things elsewhere: their signatures must not serve here


class PickleCodec:
    """JSON where JSON can hold the value, a signed pickle where it cannot, so that histories stay readable.

    Every process that reads the store needs the same `key`, at least 16 bytes, kept as secret as a password: whoever
    knows it and can write to the store runs code in your workers. A pickle is read only after its HMAC-SHA256 is found
    right. A value that does not fit a declared type which JSON knows is refused as without this codec. Needs the extra
    `pickle`; raises `InvalidCallError` without it, or for a short key.
    """

    def __init__(self, key: bytes) -> None:
        given: Any = key
        if not isinstance(given, bytes | bytearray) or len(given) < _KEY_BYTES_MIN:
            raise InvalidCallError(f"PickleCodec: expected a key of at least {_KEY_BYTES_MIN} bytes")
        self._key = bytes(key)
        self._cloudpickle = _cloudpickle()
        self._json = JsonCodec()

    def __repr__(self) -> str:
        return "PickleCodec(key=***)"

    def __reduce__(self) -> Any:
        raise TypeError("a PickleCodec is not pickled: its key would go with it")

    def encode(self, value: Any, hint: Any, *, what: str) -> Payload:
        """Return `value` as JSON, or as a signed pickle if JSON cannot hold it. See `Codec.encode`."""
        try:
            return self._json.encode(value, hint, what=what)
        except EncodeError:
            if not is_unsupported(value, hint):
                raise
        try:
            pickled: bytes = self._cloudpickle.dumps(value)
        except Exception as error:
            raise EncodeError(
                f"{what}: {type_name(type(value))} cannot be pickled ({type_name(type(error))})"
            ) from None
        if len(pickled) > _limits.PAYLOAD_BYTES_MAX:
            raise too_large(len(pickled), what, "pickle")
        return Payload(self._mac(pickled) + pickled, _ENCODING)

    def decode(self, payload: Payload, hint: Any, *, what: str) -> Any:
        """Return the value of a payload. A pickle whose signature is wrong is refused unread. See `Codec.decode`."""
        if payload.encoding != _ENCODING:
            return self._json.decode(payload, hint, what=what)
        mac, pickled = payload.data[:_MAC_BYTES], payload.data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(pickled)):
            raise DecodeError(
                f"{what}: the pickle's signature is wrong: it was damaged, or written with another key; not read"
            )
        try:
            value = pickle.loads(pickled)  # noqa: S301 - signed by a holder of the key
        except Exception as error:
            raise DecodeError(f"{what}: the pickle cannot be read here ({type_name(type(error))})") from None
        if not _fits(value, hint):
            raise DecodeError(f"{what}: expected {hint_name(hint)}, got {type_name(type(value))}")
        return value

    def _mac(self, pickled: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + pickled, "sha256")


def _fits(value: Any, hint: Any) -> bool:
    if not isinstance(hint, type) or hint is Any or getattr(hint, "_is_protocol", False):
        return True  # not for isinstance; whoever signed it has checked it
    try:
        return isinstance(value, hint)
    except TypeError:
        return True


def _cloudpickle() -> ModuleType:
    try:
        import cloudpickle  # type: ignore[import-untyped, unused-ignore]  # an extra, for those who opt in
    except ImportError:
        raise InvalidCallError("PickleCodec needs cloudpickle: install durable-sdk[pickle]") from None
    return sys.modules[cloudpickle.__name__]
