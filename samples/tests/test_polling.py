"""Tests of `polling.py`: a month of polling, in no time."""

from datetime import timedelta

from polling import LOOKS, check, often, seldom, wait_for

from durable.testing import TestEnvironment


async def test_a_job_whose_end_is_near() -> None:
    """One activity in the history, however often it looks."""
    LOOKS.clear()
    async with TestEnvironment(workflows=[often], activities=[wait_for]) as env:
        handle = await env.client.start(often)("a job")
        assert await handle.result() == "a job is done"
        assert LOOKS == {"a job": 5}
        assert len(await handle.history()) == 4


async def test_a_job_that_takes_a_month() -> None:
    """The pauses double, up to a day."""
    async with TestEnvironment(workflows=[seldom]) as env:
        month = env.now + timedelta(days=30)

        def look(job: str) -> str | None:
            return f"{job} is done" if env.now >= month else None

        env.fake(check, calls=look)
        assert await env.client.execute(seldom)("a job") == "a job is done"
        assert timedelta(0) <= env.now - month <= timedelta(days=1)
        pauses = [b.at - a.at for a, b in zip(env.calls(check), env.calls(check)[1:], strict=False)]
        assert pauses[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
        assert pauses[-1] == timedelta(days=1)


async def test_a_crash_between_two_looks() -> None:
    """The sleep goes on, and no look is taken twice."""
    async with TestEnvironment(workflows=[seldom]) as env:
        env.fake(check, returns=[None, "a job is done"])
        handle = await env.client.start(seldom)("a job")
        await env.settle()
        await env.crash_worker()
        assert await handle.result() == "a job is done"
        assert len(env.calls(check)) == 2
