"""Invariant 5: replaying a history issues no command, runs no activity, and emits no log line twice.

Breaks that were tried, each of which fails a test here: `_RunLogger.isEnabledFor` without its look at `replaying`;
`record_side_effect` running its function on replay; a loaded run that puts what is pending on its queues again.
"""

import logging

import pytest

from durable.author import Signal, activity, local, logger, side_effect, sleep, workflow
from durable.history import ActivityCompleted
from tests.engine.env import engines

go = Signal("go", int)
ran: list[str] = []


@activity
async def add(a: int, b: int) -> int:
    ran.append(f"add {a} {b}")
    return a + b


@activity
async def near(n: int) -> int:
    ran.append(f"near {n}")
    return n


def looked() -> int:
    """A side effect."""
    ran.append("looked")
    return 5


@workflow
async def talks() -> int:
    logger.info("begin")
    total = side_effect(looked)
    for n in range(3):
        total = await add(total, n)
        logger.info("total is %d", total)
        await sleep(10)
    total += await local(near)(100)
    total += await go.receive()
    logger.info("end")
    return total


@pytest.mark.parametrize("kills", [False, True])
async def test_a_run_that_is_replayed_at_every_step_says_and_does_everything_once(
    kills: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """No execution is kept in memory, and engines come and go: each line is logged once, each effect happens once."""
    ran.clear()
    caplog.set_level(logging.INFO, "durable.workflow")
    async with engines(partitions=1) as env:
        session = await env.begin([talks], [add, near], cache_runs=0)
        handle = await env.client.start(talks, id="t")()
        for _ in range(6):
            await env.advance(6)
            if kills:
                await env.kill(session)
                session = await env.begin([talks], [add, near], cache_runs=0)
        await handle.signal(go, 1000)
        assert await env.drive(handle.result()) == 5 + 3 + 100 + 1000
        said = [record.getMessage() for record in caplog.records if record.name == "durable.workflow"]
        assert said == ["begin", "total is 5", "total is 6", "total is 8", "end"]
        assert ran == ["looked", "add 5 0", "add 5 1", "add 6 2", "near 100"]
        assert len([event for event in await env.history("t") if isinstance(event, ActivityCompleted)]) == 3


async def test_taking_over_a_run_writes_nothing() -> None:
    """An engine that only loads a run, for a query or a stray message, leaves the store as it was."""
    async with engines(partitions=1) as env:
        first = await env.begin([talks], [add, near])
        await env.client.start(talks, id="t")()
        await env.advance(11)
        await env.kill(first)
        before = await env.history("t"), await env.store.inspect.counts()
        await env.begin([talks], [add, near])
        with pytest.raises(Exception, match="no query"):
            await env.drive(env.client.handle("t").query("nothing"))
        await env.settle()
        after = await env.history("t"), await env.store.inspect.counts()
        assert [repr(type(e)) for e in before[0]] == [repr(type(e)) for e in after[0]]
        assert {k: v for k, v in before[1].items() if k in ("tasks", "dues", "inbox", "records")} == {
            k: v for k, v in after[1].items() if k in ("tasks", "dues", "inbox", "records")
        }
