"""Signals and queries as they are given: checked and encoded, before anything is sent."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..author import Query, Signal
from ..codec import Codec
from ..errors import InvalidCallError
from ..history import to_raw


class SignalToSend(NamedTuple):
    """A signal with its value encoded."""

    name: str
    value: msgspec.Raw


class FirstSignal(NamedTuple):
    """A signal that a run is to begin with, and its value."""

    signal: Signal[Any] | str
    value: Any


def first_signal(codec: Codec, signal: Signal[Any] | str, value: tuple[Any, ...]) -> FirstSignal:
    """Return `signal` with its value, if there is one. Raises `EncodeError`, or `InvalidCallError` for more than one."""
    given = FirstSignal(signal, checked_value(signal, value))
    encoded_signal(codec, *given)
    return given


def checked_value(signal: Signal[Any] | str, value: tuple[Any, ...]) -> Any:
    """Return the one value of a signal, or None. Raises `InvalidCallError` for more, or for what is no signal."""
    known = signal_of(signal)
    if len(value) > 1:
        raise InvalidCallError(f"{known!r} takes one value, got {len(value)}: send a tuple or a dataclass")
    return value[0] if value else None


def encoded_signal(codec: Codec, signal: Signal[Any] | str, value: Any) -> SignalToSend:
    """Return `signal` with `value` encoded by its type. Raises `EncodeError`."""
    known = signal_of(signal)
    if isinstance(signal, str):
        payload = codec.encode(value, Any, what=f"the value of signal {signal!r}")
    else:
        payload = known.encode(codec, value)
    return SignalToSend(known.name, to_raw(payload))


def signal_of(signal: Signal[Any] | str) -> Signal[Any]:
    """Return `signal`, or the untyped one of that name. Raises `InvalidCallError` for anything else."""
    if isinstance(signal, Signal):
        return signal
    if isinstance(signal, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        return Signal(signal)
    raise InvalidCallError(f"expected a Signal or its name, got {signal!r}")


def query_of(query: Query[Any] | str) -> Query[Any]:
    """Return `query`, or the untyped one of that name. Raises `InvalidCallError` for anything else."""
    if isinstance(query, Query):
        return query
    if isinstance(query, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        return Query(query)
    raise InvalidCallError(f"expected a Query or its name, got {query!r}")
