"""Durations as people write them, and what is refused."""

from datetime import timedelta

import pytest

from durable import activity, workflow
from durable._duration import milliseconds, optional_ms, seconds


@pytest.mark.parametrize(
    ("written", "meant_s"),
    [
        ("30 days", 2_592_000),
        ("1h 30m", 5_400),
        ("1 hour and 30 minutes", 5_400),
        ("250 ms", 0.25),
        ("2 weeks", 1_209_600),
        (timedelta(minutes=2), 120),
        (1.5, 1.5),
        (0, 0),
    ],
)
def test_a_duration_is_read_as_it_is_meant(written: timedelta | float | str, meant_s: float) -> None:
    """Text with units, a timedelta, or seconds."""
    assert seconds(written) == pytest.approx(meant_s)


@pytest.mark.parametrize(
    "wrong", ["", "soon", "3 parsecs", "5", "-1 s", -1, float("nan"), float("inf"), timedelta(days=-1), 4e9]
)
def test_a_duration_that_cannot_be_meant_is_refused(wrong: timedelta | float | str) -> None:
    """The error names what it is for, and the value."""
    with pytest.raises(ValueError, match="pause: ") as refused:
        seconds(wrong, what="pause")
    assert repr(wrong) in str(refused.value) or str(wrong) in str(refused.value)


@pytest.mark.parametrize("wrong", [True, None, [1], b"1 s"])
def test_another_type_is_refused(wrong: object) -> None:
    """True is no duration."""
    with pytest.raises(TypeError, match="pause: expected a timedelta"):
        seconds(wrong, what="pause")  # type: ignore[arg-type]


def test_nothing_fires_early() -> None:
    """Fractions of a millisecond are rounded up."""
    assert milliseconds(0.0001) == 1
    assert milliseconds(0.25) == 250


def test_a_limit_of_zero_is_refused_where_it_is_written() -> None:
    """It would end every attempt at once: None is what means no limit."""
    assert optional_ms(None, what="timeout") is None
    with pytest.raises(ValueError, match=r"timeout: expected more than 0 s, or None for no limit, got 0"):
        activity(timeout=0)
    with pytest.raises(ValueError, match="heartbeat_timeout: expected more than 0"):
        activity(heartbeat_timeout="0 s")
    with pytest.raises(ValueError, match="timeout: expected more than 0"):
        workflow(timeout=timedelta(0))
