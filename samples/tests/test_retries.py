"""Tests of `retries.py`: activities by themselves, and what the workflow makes of their failures."""

import pytest
from retries import CardRefusedError, TooManyRequestsError, copy, errands, fetch, look_into, pay, post

from durable.testing import ActivityEnvironment, TestEnvironment


async def test_fetch_works_at_the_third_attempt() -> None:
    """An activity by itself, as it would be at that attempt."""
    with pytest.raises(ConnectionError):
        await ActivityEnvironment(attempt=2).run(fetch, "here")
    assert await ActivityEnvironment(attempt=3).run(fetch, "here") == "here at attempt 3"


async def test_post_says_when_to_come_back() -> None:
    """By an attribute of its exception."""
    with pytest.raises(TooManyRequestsError) as refused:
        await ActivityEnvironment().run(post, "hello")
    assert refused.value.retry_after == 0.1


async def test_copy_goes_on_where_it_stopped() -> None:
    """What one attempt says by `heartbeat`, the next one finds."""
    first = ActivityEnvironment()
    with pytest.raises(OSError, match="cable"):
        await first.run(copy)
    assert first.heartbeats == [1, 2, 3, 4]
    second = ActivityEnvironment(attempt=2, details=first.heartbeats[-1])
    assert await second.run(copy) == ["5", "6", "7", "8", "9", "10"]


async def test_the_diary_says_how_each_errand_ended() -> None:
    """With the real activities; their retries wait in virtual time."""
    async with TestEnvironment(workflows=[errands], activities=[fetch, post, pay, look_into, copy]) as env:
        diary = await env.client.execute(errands)()
        assert "not paid: no cover for 1000 euros" in diary
        assert [call.attempt for call in env.calls(fetch)] == [1, 2, 3]
        assert len(env.calls(look_into)) == 1
        wait = env.calls(post)[1].at - env.calls(post)[0].at
        assert wait.total_seconds() == pytest.approx(0.1)


async def test_a_day_when_all_goes_well() -> None:
    """And the workflow has nothing to catch."""
    async with TestEnvironment(workflows=[errands]) as env:
        env.fake(fetch, returns="the page")
        env.fake(post, raises=[TooManyRequestsError("slow down", retry_after=3600)], returns="hello")
        env.fake(pay, returns="paid")
        env.fake(look_into, returns="potatoes")
        env.fake(copy, returns=["all"])
        began = env.now
        diary = await env.client.execute(errands)()
        assert diary == ["fetched the page", "posted hello", "the second attempt copied pieces all"]
        assert (env.now - began).total_seconds() == pytest.approx(3600)


async def test_a_card_that_is_refused_is_not_tried_again() -> None:
    """The error is declared."""
    async with TestEnvironment(workflows=[errands], activities=[fetch, post, look_into, copy]) as env:
        env.fake(pay, raises=CardRefusedError("stolen"))
        assert "not paid: stolen" in await env.client.execute(errands)()
        assert len(env.calls(pay)) == 1
