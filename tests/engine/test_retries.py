"""The pauses between attempts: exact, bounded, and defined for every attempt that an endless policy comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.retry import RetryPolicy


def test_the_pause_doubles_up_to_its_maximum() -> None:
    """The default: 1, 2, 4 ... 64, 100, 100 seconds."""
    pauses = [RetryPolicy().delay_ms(attempt, jitter=0.0) for attempt in range(1, 10)]
    assert pauses == [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 100_000, 100_000]


@given(
    coefficient=st.floats(min_value=1, allow_nan=False) | st.integers(1, 10**400),
    first=st.floats(0, 10**6),
    attempt=st.integers(1, 100_000),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_every_attempt_has_a_pause_within_the_maximum(
    coefficient: float, first: float, attempt: int, jitter: float
) -> None:
    """However steep the policy and however many attempts: a pause that cannot be computed would make the run stuck."""
    policy = RetryPolicy(initial_interval=first, coefficient=coefficient, max_attempts=None)
    assert 0 <= policy.delay_ms(attempt, jitter=jitter) <= 100_000


@pytest.mark.parametrize("coefficient", [0.5, -1, float("nan")])
def test_a_coefficient_out_of_range_is_refused(coefficient: float) -> None:
    """At the definition, showing the value."""
    with pytest.raises(ValueError, match="coefficient: expected at least 1"):
        RetryPolicy(coefficient=coefficient)
