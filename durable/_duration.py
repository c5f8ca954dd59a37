"""Durations as people write them: a `timedelta`, seconds as a number, or text like "30 days" or "1h 30m"."""

import math
import re
from datetime import timedelta

Duration = timedelta | float | int | str

_UNITS_S = {
    "ms": 0.001, "millisecond": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*(?:,|and\b)?", re.IGNORECASE)
FOREVER_MS = 1 << 62  # longer than any time that is asked for
_SECONDS_MAX = 3_000_000_000  # about 95 years: past it, a date in milliseconds is more likely than a wish


def seconds(value: Duration, *, what: str = "duration") -> float:
    """Return `value` in seconds.

    Raises `ValueError` naming `what` and the value if it is negative, not finite, beyond 95 years, or not understood,
    and `TypeError` if it is of another type (`True` is no duration).
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | float | int | str):
        raise TypeError(f'{what}: expected a timedelta, seconds, or text like "30 days", got {value!r}')
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, str):
        result = _parsed(value, what)
    else:
        result = float(value)
    if not math.isfinite(result) or result < 0 or result > _SECONDS_MAX:
        raise ValueError(f"{what}: expected between 0 s and 95 years, got {value!r}")
    return result


def milliseconds(value: Duration, *, what: str = "duration") -> int:
    """Return `value` in whole milliseconds, rounded up, so that nothing fires early. Raises as `seconds` does."""
    return math.ceil(round(seconds(value, what=what) * 1000, 6))


def optional_ms(value: Duration | None, *, what: str) -> int | None:
    """Return `milliseconds(value)`, or None for None: no limit. A limit of 0 is a mistake, and refused as `seconds` refuses."""
    if value is None:
        return None
    limit = milliseconds(value, what=what)
    if limit == 0:
        raise ValueError(f"{what}: expected more than 0 s, or None for no limit, got {value!r}")
    return limit


def retention_ms(value: Duration | None) -> int | None:
    """Return how long closed runs are kept, in ms; None for None. "forever" is `FOREVER_MS`. Raises as `optional_ms` does."""
    return FOREVER_MS if value == "forever" else optional_ms(value, what="retention")


def _parsed(text: str, what: str) -> float:
    total, position = 0.0, 0
    while (part := _PART.match(text, position)) is not None:
        unit = part[2].lower()
        scale = _UNITS_S.get(unit, _UNITS_S.get(unit.removesuffix("s")))
        if scale is None:
            raise ValueError(f"{what}: unknown unit {part[2]!r} in {text!r}; use ms, s, min, h, days or weeks")
        total, position = total + float(part[1]) * scale, part.end()
    if position == 0 or text[position:].strip():
        raise ValueError(f'{what}: cannot read {text!r}; write it like "30 days", "1h 30m" or "250 ms"')
    return total
