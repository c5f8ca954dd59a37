"""Invariant 2: a commit is all or nothing, so the inbox holds exactly the messages whose effects are not yet recorded.

Breaks that were tried, each of which fails a test here: consumed messages removed in a commit of their own, before the
events; tasks left out of a commit and added by another one after it.
"""

import random

import pytest

from durable._engine import commits as commits_module
from durable.author import Signal, activity, workflow
from tests.engine.env import engines
from tests.engine.faults import FaultyStore

go = Signal("go", int)


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def adds() -> int:
    total = 0
    for _ in range(3):
        total = await add(total, await go.receive())
    return total


@pytest.mark.parametrize("fate", ["die", "die after"])
@pytest.mark.parametrize("nth", range(5))
async def test_a_death_at_a_commit_leaves_all_of_it_or_nothing(fate: str, nth: int) -> None:
    """The next owner finds either the message or its effects, and both lead to one history."""
    async with engines(partitions=1) as env:
        commits = [0]

        def plan(name: str, _number: int) -> str:
            if name == "commit":
                commits[0] += 1
                return fate if commits[0] == nth + 1 else ""
            return ""

        first = await env.begin([adds], [add], store=FaultyStore(env.store, plan), short_cut=False)  # type: ignore[arg-type]
        handle = await env.client.start(adds, id="a")()
        for n in (1, 2, 3):
            await handle.signal(go, n)
        await env.advance(1)
        await env.advance(1)
        await env.kill(first)
        counts = await env.store.inspect.counts()
        recorded = len(await env.history("a"))
        assert (recorded == 0) == (counts["inbox"] >= 4)
        await env.begin([adds], [add], short_cut=False)
        assert await env.drive(handle.result()) == 6
        tags = await env.tags("a")
        for kind in ("SignalReceived", "ActivityScheduled", "ActivityCompleted"):
            assert tags.count(kind) == 3
        counts = await env.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"], counts["dues"]) == (0, 0, 0)


async def test_a_commit_whose_outcome_is_unknown_is_sent_again_and_applied_once() -> None:
    """The same id goes again: the store answers as the first time."""
    assert commits_module.RESEND_S[0] < 1
    async with engines(partitions=1) as env:
        commits, chance = [0], random.Random(5)

        def plan(name: str, _number: int) -> str:
            if name != "commit":
                return ""
            commits[0] += 1
            return chance.choice(["", "after", "before"])  # by turns, two commits under way could keep in step with it

        await env.begin([adds], [add], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        handle = await env.client.start(adds, id="a")()
        for n in (1, 2, 3):
            await handle.signal(go, n)
        assert await env.drive(handle.result()) == 6
        tags = await env.tags("a")
        for kind in ("SignalReceived", "ActivityScheduled", "ActivityCompleted"):
            assert tags.count(kind) == 3
        assert commits[0] > 4
