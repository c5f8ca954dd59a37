"""Tests of `callback.py`: whoever has the token ends the activity, whenever that is."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from callback import DESK, publish, translate

from durable.testing import TestEnvironment, assert_replays


@pytest.fixture(autouse=True)
def empty_desk() -> None:
    """Nothing lies on the desk of an earlier test."""
    while not DESK.empty():
        DESK.get_nowait()


@pytest.fixture
async def env() -> AsyncIterator[TestEnvironment]:
    """The workflow and its activity; the translator is the test."""
    async with TestEnvironment(workflows=[publish], activities=[translate]) as env:
        yield env


async def test_the_translator_takes_three_days(env: TestEnvironment) -> None:
    """Nothing runs meanwhile, and a crash changes nothing."""
    run = await env.client.start(publish)("a letter")
    await env.settle()
    text, token = DESK.get_nowait()
    await env.advance("3 days")
    await env.crash_worker()
    await env.client.activity(token, activity=translate).complete(text[::-1])
    assert await run.result() == "published: rettel a"
    assert_replays(publish, await run.history())


async def test_a_failure_is_tried_again_with_a_new_token(env: TestEnvironment) -> None:
    """The first translator is ill; the second one is not."""
    run = await env.client.start(publish)("a letter")
    await env.settle()
    _, first = DESK.get_nowait()
    await env.client.activity(first).fail(RuntimeError("I am ill"))
    await env.advance("1 s")
    _, second = DESK.get_nowait()
    assert second != first
    await env.client.activity(second).complete("a letter, translated")
    assert await run.result() == "published: a letter, translated"


async def test_nobody_translates(env: TestEnvironment) -> None:
    """Each attempt has a week."""
    began = env.now
    run = await env.client.start(publish)("a letter")
    assert (await run.result()).startswith("not published")
    assert timedelta(days=14) <= env.now - began < timedelta(days=15)
