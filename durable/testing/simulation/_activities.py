"""The activities of random programs."""

from __future__ import annotations

from ...author import activity, activity_info, complete_later
from ...retry import RetryPolicy
from ._outside import outside

_QUICK = RetryPolicy(initial_interval=0.5, maximum_interval=5, max_attempts=4)
NOT_MENDED = "it is not mended yet"


async def _effect(n: int, failures: int) -> None:
    await outside().note(activity_info().idempotency_key, n)
    if activity_info().attempt <= failures:
        raise RuntimeError(f"attempt {activity_info().attempt} of {n} fails")


@activity(name="durable.random.act", retry=_QUICK)
async def act(n: int, failures: int = 0) -> int:
    """Succeed after some failures."""
    await _effect(n, failures)
    return 2 * n


@activity(name="durable.random.near", retry=_QUICK)
async def near(n: int, failures: int = 0) -> int:
    """The same, but called as a local activity."""
    await _effect(n, failures)
    return n + 1


@activity(name="durable.random.give", retry=_QUICK, timeout="30 s")
async def give(n: int, patient: bool = False) -> int:
    """Hand the attempt's token to somebody outside, who is to complete it with three times the number.

    `patient`: whoever waits for it does so until it has ended, and a failure would be the last word.
    """
    await _effect(n, 0)
    await outside().hand(activity_info().token, n, patient)
    return complete_later()


@activity(name="durable.random.shaky", retry=RetryPolicy(max_attempts=1))
async def shaky(n: int) -> int:
    """Succeed once it is mended for the run's workflow id; until then, fail for good."""
    await _effect(n, 0)
    if not outside().is_mended(activity_info().workflow_id):
        raise RuntimeError(NOT_MENDED)
    return 2 * n


ACTIVITIES = (act, near, give, shaky)
