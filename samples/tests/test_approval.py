"""Tests of `approval.py`: weeks of waiting, in no time."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from approval import Decision, Expense, approval, ask, director, manager, waiting_for

from durable.testing import TestEnvironment

WEEK = timedelta(days=7)
EXPENSE = Expense("Ada", 120, manager_has=2 * WEEK, director_has=WEEK)
YES = Decision(approved=True, by="somebody")


@pytest.fixture
async def env() -> AsyncIterator[TestEnvironment]:
    """The workflow, with mails that go nowhere."""
    async with TestEnvironment(workflows=[approval]) as env:
        env.fake(ask, returns=None)
        yield env


async def test_the_manager_decides(env: TestEnvironment) -> None:
    """An answer that comes while the manager is asked is the manager's."""
    handle = await env.client.start(approval)(EXPENSE)
    await env.advance(WEEK)
    assert await handle.query(waiting_for) == "manager"
    await handle.signal(manager, YES)
    assert await handle.result() == YES
    assert [call["who"] for call in env.calls(ask)] == ["manager"]


async def test_after_two_weeks_the_director_is_asked(env: TestEnvironment) -> None:
    """At the hour."""
    began = env.now
    handle = await env.client.start(approval)(EXPENSE)
    await env.advance(2 * WEEK)
    assert await handle.query(waiting_for) == "director"
    assert [(call["who"], call.at - began) for call in env.calls(ask)] == [
        ("manager", timedelta(0)),
        ("director", 2 * WEEK),
    ]
    await handle.signal(director, YES)
    assert await handle.result() == YES


async def test_silence_is_a_refusal(env: TestEnvironment) -> None:
    """Three weeks later."""
    began = env.now
    decision = await env.client.execute(approval)(EXPENSE)
    assert not decision.approved
    assert env.now == began + 3 * WEEK


async def test_an_early_answer_is_kept(env: TestEnvironment) -> None:
    """It counts as soon as its turn has come."""
    began = env.now
    handle = await env.client.start(approval)(EXPENSE)
    await handle.signal(director, YES)
    assert await handle.result() == YES
    assert env.now == began + 2 * WEEK


async def test_a_crash_while_somebody_thinks_changes_nothing(env: TestEnvironment) -> None:
    """Nobody is asked twice."""
    handle = await env.client.start(approval)(EXPENSE)
    await env.settle()
    await env.crash_worker()
    await handle.signal(manager, YES)
    assert await handle.result() == YES
    assert len(env.calls(ask)) == 1
