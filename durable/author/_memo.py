"""The memo of a run: what people want to know of it, and nobody looks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from .. import _limits
from .._ids import checked_name
from ..codec import Codec
from ..errors import InvalidCallError, PayloadTooLargeError
from ..history import from_raw, to_raw


class Memo(Mapping[str, Any]):
    """The memo of a run, by name; each value is decoded when it is asked for, as JSON data. Raises `DecodeError` then."""

    def __init__(self, raw: Mapping[str, msgspec.Raw], codec: Codec) -> None:
        self._raw, self._codec = raw, codec

    def __getitem__(self, name: str) -> Any:
        return self._codec.decode(from_raw(self._raw[name]), Any, what=f"memo {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        return f"Memo({', '.join(self._raw)})"


def stored_memo(given: object, codec: Codec) -> dict[str, msgspec.Raw]:
    """Return a memo as it is stored.

    Raises `InvalidCallError` for what is no mapping of names, `InvalidIdError` for a name that is none, `EncodeError` for a
    value that cannot be encoded, and `PayloadTooLargeError` if it is over `_limits.MEMO_BYTES_MAX` bytes.
    """
    if not isinstance(given, Mapping):
        raise InvalidCallError(f"memo: expected {{name: value}}, got {given!r}")
    result: dict[str, msgspec.Raw] = {}
    for name, value in cast("Mapping[object, object]", given).items():
        checked = checked_name(name, "memo name")
        result[checked] = to_raw(codec.encode(value, Any, what=f"memo {checked!r}"))
    size = sum(len(name.encode()) + len(bytes(raw)) for name, raw in result.items())
    if size > _limits.MEMO_BYTES_MAX:
        raise PayloadTooLargeError(
            f"a memo may take {_limits.MEMO_BYTES_MAX} bytes, this one takes {size}; pass the rest as arguments"
        )
    return result
