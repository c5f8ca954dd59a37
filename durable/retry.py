"""When a failed activity is tried again. Pure: the attempt, the failure and the jitter go in, a delay or None comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._duration import Duration, seconds

BUGS: tuple[str, ...] = ("TypeError", "AttributeError", "NameError", "ImportError", "NotImplementedError")
"""Failures of the code, not of the world: trying again cannot help. Matched with their subclasses by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long after a failure an activity is tried again.

    `max_attempts` counts the first one (None: no limit). The delay after attempt n is
    `initial_interval * coefficient ** (n - 1)`, at most `maximum_interval`, then shortened by up to `jitter` of itself.
    `non_retryable` lists exception classes (or their names) that end the retries, subclasses included; `BUGS` always do
    unless `retry_bugs` is set. An exception with an attribute `retry_after` (a duration) sets the next delay itself.

    Raises `ValueError` for a value out of range. Nothing here runs on replay: the decision is in the history.
    """

    initial_interval: Duration = 1.0
    coefficient: float = 2.0
    maximum_interval: Duration = 100.0
    max_attempts: int | None = 10
    jitter: float = 0.1
    non_retryable: Sequence[type[BaseException] | str] = ()
    retry_bugs: bool = False
    _names: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        seconds(self.initial_interval, what="initial_interval")
        seconds(self.maximum_interval, what="maximum_interval")
        if not self.coefficient >= 1:  # not `< 1`: NaN is neither
            raise ValueError(f"coefficient: expected at least 1, got {self.coefficient!r}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts: expected at least 1 or None for no limit, got {self.max_attempts!r}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter: expected between 0 and 1, got {self.jitter!r}")
        if isinstance(self.non_retryable, str):
            raise TypeError(
                f"non_retryable: expected a sequence of classes or names, got the text {self.non_retryable!r}"
            )
        names = {c if isinstance(c, str) else c.__name__ for c in self.non_retryable}
        object.__setattr__(self, "_names", frozenset(names if self.retry_bugs else names | set(BUGS)))

    def delay_ms(self, attempt: int, *, jitter: float) -> int:
        """Return the pause after the failed `attempt` (1, 2, ...) in ms; `jitter` in [0, 1) shortens it."""
        longest = seconds(self.maximum_interval)
        first = seconds(self.initial_interval)
        try:
            pause = min(first * float(self.coefficient) ** (attempt - 1), longest) if first else 0.0
        except OverflowError:  # an endless policy gets there: with the default coefficient, at attempt 1,025
            pause = longest
        return round(pause * (1 - self.jitter * jitter) * 1000)

    def gives_up(self, attempt: int, types: Sequence[str]) -> bool:
        """Return whether `attempt` was the last one, or a failure whose class and bases are `types` ends the retries."""
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return True
        return not self._names.isdisjoint(types)

    def as_wire(self) -> dict[str, object]:
        """Return the policy as JSON data, for the history."""
        return {
            "initial_s": seconds(self.initial_interval), "coefficient": self.coefficient,
            "maximum_s": seconds(self.maximum_interval), "attempts": self.max_attempts, "jitter": self.jitter,
            "never": sorted(self._names - set(BUGS)), "bugs": self.retry_bugs,
        }  # fmt: skip

    @staticmethod
    def from_wire(data: Mapping[str, Any]) -> "RetryPolicy":
        """Return the policy that `as_wire` wrote."""
        return RetryPolicy(
            initial_interval=data["initial_s"],
            coefficient=data["coefficient"],
            maximum_interval=data["maximum_s"],
            max_attempts=data["attempts"],
            jitter=data["jitter"],
            non_retryable=data["never"],
            retry_bugs=data["bugs"],
        )


NO_RETRY = RetryPolicy(max_attempts=1)
DEFAULT_RETRY = RetryPolicy()
