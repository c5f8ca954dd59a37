"""Invariant 4: the history's order is the order of delivery, and nothing else decides what a run does.

Breaks that were tried, each of which fails a test here: all messages of a batch recorded before the commands that follow
from them; commands recorded before the event that led to them.
"""

import asyncio

import pytest

from durable.author import Signal, activity, workflow
from durable.history import ActivityScheduled, SignalReceived
from tests.engine.env import engines

go = Signal("go", int)


@activity
async def note(n: int) -> int:
    return n


@workflow
async def reacts(count: int) -> list[int]:
    pending = [note(await go.receive()) for _ in range(count)]
    return list(await asyncio.gather(*pending))


async def test_each_event_is_followed_by_what_the_code_asked_for_at_it() -> None:
    """Four signals that are read in one batch: four deliveries, each with its command behind it."""
    async with engines(partitions=1) as env:
        handle = await env.client.start(reacts, id="r")(4)
        for n in range(4):
            await handle.signal(go, n)
        await env.begin([reacts], [note])  # it comes when everything waits in the inbox
        assert await env.drive(handle.result()) == [0, 1, 2, 3]
        history = await env.history("r")
        kinds = [type(event) for event in history if isinstance(event, SignalReceived | ActivityScheduled)]
        assert kinds == [SignalReceived, ActivityScheduled] * 4


@pytest.mark.parametrize("cache_runs", [0, 1, 100])
@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("short_cut", [False, True])
async def test_batches_caches_and_short_cuts_do_not_show_in_a_history(
    cache_runs: int, paced: bool, short_cut: bool
) -> None:
    """The same signals, one at a time or all at once, to one engine or to a line of them: the same events in the same order."""
    async with engines(partitions=1) as env:
        session = await env.begin([reacts], [note], cache_runs=cache_runs, short_cut=short_cut)
        handle = await env.client.start(reacts, id="r")(3)
        for n in range(3):
            await handle.signal(go, n)
            if paced:
                await env.settle()
                await env.kill(session)
                session = await env.begin([reacts], [note], cache_runs=cache_runs, short_cut=short_cut)
        assert await env.drive(handle.result()) == [0, 1, 2]
        of_callers = [t for t in await env.tags("r") if t in ("SignalReceived", "ActivityScheduled", "RunCompleted")]
        assert of_callers == ["SignalReceived", "ActivityScheduled"] * 3 + ["RunCompleted"]
