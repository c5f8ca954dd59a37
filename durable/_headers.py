"""Headers: short texts by name that travel with calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import _limits

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def checked_headers(headers: Any) -> dict[str, str] | None:
    """Return headers as they are recorded, None for none.

    Raises `TypeError` for what is no mapping of texts, `ValueError` for more of them than `_limits.HEADERS_CHARS_MAX`.
    """
    if not headers:
        return None
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers: expected a mapping of texts, got {headers!r}")
    size = 0
    found: dict[str, str] = {}
    for name, value in headers.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers: expected texts, got {name!r}: {value!r}")
        found[name] = value
        size += len(name) + len(value)
    if size > _limits.HEADERS_CHARS_MAX:
        raise ValueError(
            f"headers: {size} characters, at most {_limits.HEADERS_CHARS_MAX} are allowed; they are part of each event"
        )
    return found


def read_headers(headers: dict[str, str] | None) -> Mapping[str, str]:
    """Return recorded headers as they are shown, read-only."""
    return MappingProxyType(headers) if headers else NO_HEADERS
