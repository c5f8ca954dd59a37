"""Invariant 9: due times and expiries are judged by the store's clock, so that years pass in milliseconds.

Breaks that were tried, each of which fails a test here: `Engine._step_all` with the system's time; `step` with the system's time.
(tests/test_architecture.py forbids the imports.)
"""

from datetime import UTC, datetime

from durable.author import Signal, activity, now, sleep, workflow
from durable.retry import RetryPolicy
from tests.engine.env import engines

go = Signal("go", int)


@activity(retry=RetryPolicy(initial_interval="1 day", maximum_interval="30 days", max_attempts=None, jitter=0))
async def rarely(n: int) -> int:
    if len(attempts) < 6:
        attempts.append(n)
        raise OSError("not today")
    return n


attempts: list[int] = []


@workflow
async def years() -> list[str]:
    days = [now().date().isoformat()]
    for _ in range(3):
        await sleep("365 days")
        days.append(now().date().isoformat())
    return days


async def test_years_pass_in_no_time_and_the_history_says_so() -> None:
    """Three years of waiting; every event bears the store's time."""
    async with engines() as env:
        await env.begin([years], [])
        began = env.clock.now_ms()
        handle = await env.client.start(years, id="y")()
        result = await env.drive(handle.result(), step_s=86_400)
        assert len(result) == 4
        assert result[0] == datetime.fromtimestamp(began / 1000, UTC).date().isoformat()
        history = await env.history("y")
        assert history[0].at == began
        assert 3 * 365 * 86_400_000 <= history[-1].at - began < 3 * 366 * 86_400_000
        assert [e.at for e in history] == sorted(e.at for e in history)


async def test_retries_of_weeks_pass_in_no_time() -> None:
    """1, 2, 4, 8, 16 and 30 days between the attempts."""

    @workflow
    async def patient() -> int:
        return await rarely(1)

    attempts.clear()
    async with engines() as env:
        await env.begin([patient], [rarely])
        began = env.clock.now_ms()
        handle = await env.client.start(patient, id="p")()
        assert await env.drive(handle.result(), step_s=3600 * 6) == 1
        days = (env.clock.now_ms() - began) / 86_400_000
        assert 61 <= days < 63


async def test_a_timer_waits_for_the_stores_clock() -> None:
    """Not a moment less, though the machine's clock is years ahead of it."""

    @workflow
    async def naps() -> None:
        await sleep(40)

    async with engines() as env:
        await env.begin([naps], [])
        await env.client.start(naps, id="n")()
        await env.settle()
        await env.advance(39)
        assert await env.status("n") == "running"
        await env.advance(1)
        assert await env.status("n") == "completed"


async def test_a_session_ends_by_the_stores_clock() -> None:
    """An owner that does not renew loses its partitions after its time to live, and not before."""
    async with engines(partitions=1) as env:
        first = await env.begin([years], [], ttl_ms=60_000)
        await env.client.start(years, id="y")()
        await env.settle()
        await env.kill(first, notice=False)
        second = await env.begin([years], [])
        for _ in range(5):
            await env.advance(10)
        assert env.engine(second).leases() == ()
        for _ in range(3):
            await env.advance(10)
        assert len(env.engine(second).leases()) == 1
