"""The default codec: JSON by the declared types."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from .. import _limits
from ..errors import DecodeError, DefinitionError, EncodeError, PayloadTooLargeError
from ._plan import Misfit, Plan, key_step, type_name
from ._protocol import Payload
from ._types import plan_of

_DEPTH_MAX: Final = 240  # orjson writes up to 254 levels; a call's payload adds two to those of its arguments

_decoders: dict[
    Any, Any
] = {}  # hint -> bound decode of a msgspec decoder, or None: for types that msgspec reads as we do


class JsonCodec:
    """Values as JSON by their declared types: what comes back equals what went in, or an error says why it would not.

    Under `Any` JSON types come back, and richer values (a dataclass, a datetime) come back as their JSON form.
    See docs/decisions/0002-codec.md for how each type is written. Stateless, thread-safe.
    """

    def encode(self, value: Any, hint: Any, *, what: str) -> Payload:
        """Return `value` as JSON. See `Codec.encode`."""
        try:
            data = orjson.dumps(plan_of(hint).dump(value))
        except DefinitionError:
            raise
        except Exception as error:
            raise encode_error(error, value, hint, what) from None
        if len(data) > _limits.PAYLOAD_BYTES_MAX:
            raise too_large(len(data), what)
        return Payload(data)

    def decode(self, payload: Payload, hint: Any, *, what: str) -> Any:
        """Return the value of a JSON payload. See `Codec.decode`."""
        data, encoding = payload
        if encoding != "json":
            raise DecodeError(
                f"{what}: the payload's encoding is {encoding!r}; give this process the codec that wrote it"
            )
        try:
            decode = _decoders[hint]
        except KeyError:
            decode = _decoders[hint] = _decoder(hint)
        except TypeError:
            decode = None
        if decode is not None:
            try:
                return decode(data)
            except Exception:  # noqa: S110 - read again below, by our own plan, which has the better words
                pass
        return load(json_data(data, what), plan_of(hint), what)


def default_codec() -> JsonCodec:
    """Return the codec that is used unless another is given."""
    return _DEFAULT


_DEFAULT = JsonCodec()


def _decoder(hint: Any) -> Any:
    if not plan_of(hint).plain or hint is Any:
        return None
    try:
        return msgspec.json.Decoder(hint).decode
    except Exception:  # a type that msgspec cannot resolve by itself, such as a dataclass with local names
        return None


def json_data(data: bytes, what: str) -> Any:
    """Return the JSON data in `data`. Raises `DecodeError`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise DecodeError(f"{what}: the payload is not JSON") from None


def load(data: Any, plan: Plan, what: str) -> Any:
    """Return the value of JSON data by `plan`. Raises `DecodeError`."""
    try:
        return plan.load(data)
    except Exception as error:
        raise DecodeError(f"{what}: {_problem(error)}") from None


def dump(value: Any, plan: Plan, what: str) -> Any:
    """Return the JSON data of `value` by `plan`. Raises `EncodeError`."""
    try:
        return plan.dump(value)
    except Exception as error:
        raise EncodeError(f"{what}: {_problem(error)}") from None


def encode_error(error: Exception, value: Any, hint: Any, what: str) -> EncodeError:
    """Return the error for what `plan.dump` or orjson raised."""
    if not isinstance(error, Misfit | RecursionError):
        try:
            error = unwritable(plan_of(hint).dump(value)) or error
        except Exception as other:
            error = other
    return EncodeError(f"{what}: {_problem(error)}")


def too_large(size: int, what: str, form: str = "JSON") -> PayloadTooLargeError:
    """Return the error for a payload of `size` bytes."""
    return PayloadTooLargeError(
        f"{what}: {size:,} bytes as {form}, the limit is {_limits.PAYLOAD_BYTES_MAX:,} bytes; "
        "store it elsewhere and pass a reference"
    )


def is_unsupported(value: Any, hint: Any) -> bool:
    """Return whether `value` may be of its declared type but cannot be JSON: what another codec may take on."""
    try:
        data = plan_of(hint).dump(value)
    except Misfit as misfit:
        return misfit.unsupported
    except RecursionError:
        return True
    except Exception:
        return False
    return unwritable(data) is not None


def _problem(error: Exception) -> str:
    if isinstance(error, Misfit):
        return str(error)
    if isinstance(error, RecursionError):
        return "the value is nested too deeply, or contains itself"
    return f"its conversion raised {type_name(type(error))}"  # code of the value's class: an attribute, a key's hash


def unwritable(data: Any, depth: int = 0) -> Misfit | None:
    """Return what keeps orjson from writing JSON data, or None."""
    if type(data) is str:
        try:
            data.encode()
        except UnicodeEncodeError:
            return Misfit("text with half of a surrogate pair cannot be written as UTF-8", unsupported=True)
    elif type(data) is int:
        if not -(2**63) <= data < 2**64:
            return Misfit("an int beyond 64 bits is kept only if it is declared as int", unsupported=True)
    elif depth > _DEPTH_MAX:
        return Misfit("the value is nested too deeply, or contains itself", unsupported=True)
    elif isinstance(data, Mapping):
        for position, (key, value) in enumerate(data.items()):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            if (found := unwritable(key, depth + 1)) is not None:
                return found.at(f"[key {position}]")
            if (found := unwritable(value, depth + 1)) is not None:
                return found.at(key_step(key, position))
    elif isinstance(data, list):
        for index, value in enumerate(data):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            if (found := unwritable(value, depth + 1)) is not None:
                return found.at(f"[{index}]")
    return None
