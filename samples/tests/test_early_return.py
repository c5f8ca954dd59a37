"""Tests of `early_return.py`: the customer waits for the card, and not for the money."""

import re
from datetime import timedelta

import pytest
from early_return import CardRefusedError, Payment, accepted, look_at, move_money, pay

from durable.testing import TestEnvironment, assert_replays


async def test_the_answer_comes_before_the_money() -> None:
    """After the quick part; the slow one goes on."""
    async with TestEnvironment(workflows=[pay]) as env:
        env.fake(look_at, returns=None, takes="1 s")
        env.fake(move_money, returns=None, takes="2 days")
        began = env.now
        begun = await env.client.start_with_update(pay, accepted, id="order")(Payment("good", 5))
        number = await begun.result()
        assert re.fullmatch(r"payment [0-9a-f]{8}", number)
        assert env.now - began == timedelta(seconds=1)
        assert await begun.run.result() == f"{number} of 5 euros is settled"
        assert env.now - began == timedelta(days=2, seconds=1)
        assert_replays(pay, await begun.run.history())


async def test_a_refused_card_is_told_and_no_money_moves() -> None:
    """The caller gets the error as itself."""
    async with TestEnvironment(workflows=[pay], activities=[look_at]) as env:
        moved = env.fake(move_money, returns=None)
        begun = await env.client.start_with_update(pay, accepted, id="order")(Payment("stolen", 5))
        with pytest.raises(CardRefusedError):
            await begun.result()
        assert (await begun.run.result()).endswith("was refused")
        assert not moved.calls


async def test_a_repeated_call_pays_once() -> None:
    """The customer clicked twice: one run, one update, one answer."""
    async with TestEnvironment(workflows=[pay]) as env:
        env.fake(look_at, returns=None)
        moved = env.fake(move_money, returns=None, takes="1 minute")
        calls = [env.client.start_with_update(pay, accepted, id="order", update_id="click") for _ in range(2)]
        numbers = {await (await call(Payment("good", 5))).result() for call in calls}
        assert len(numbers) == 1
        await env.client.handle("order").result()
        assert len(moved.calls) == 1


async def test_a_crash_while_the_card_is_looked_at() -> None:
    """The caller gets its answer all the same."""
    async with TestEnvironment(workflows=[pay]) as env:
        env.fake(look_at, returns=None, takes="1 minute")
        env.fake(move_money, returns=None)
        begun = await env.client.start_with_update(pay, accepted, id="order")(Payment("good", 5))
        await env.crash_worker()
        assert (await begun.result()).startswith("payment ")
