"""Tests of `safe_handlers.py`: whoever asks whenever, no machine is lent twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from safe_handlers import Job, cluster, lend, lent, prepare, shut_down, take_back, wipe

from durable.errors import RequestFailedError
from durable.history import UpdateAccepted
from durable.testing import TestEnvironment, assert_replays


@pytest.fixture
async def env() -> AsyncIterator[TestEnvironment]:
    """The workflow, with machines that take a second each."""
    async with TestEnvironment(workflows=[cluster]) as env:
        env.fake(prepare, returns=None, takes="1 s")
        env.fake(wipe, returns=None, takes="1 s")
        yield env


async def test_many_ask_at_once(env: TestEnvironment) -> None:
    """Each gets machines of its own."""
    run = await env.client.start(cluster)(20)
    got = await asyncio.gather(*(run.update(lend, Job(f"job-{number}", 3)) for number in range(6)))
    assert len({machine for machines in got for machine in machines}) == 18
    assert len(await run.query(lent)) == 18


async def test_what_is_not_there_is_not_lent(env: TestEnvironment) -> None:
    """The caller is told; the run goes on."""
    run = await env.client.start(cluster)(4)
    assert len(await run.update(lend, Job("first", 3))) == 3
    with pytest.raises(RequestFailedError, match="1 are free"):
        await run.update(lend, Job("second", 2))
    assert await run.update(take_back, "first") == 3
    assert len(await run.update(lend, Job("second", 2))) == 2


async def test_nonsense_is_refused_and_leaves_no_trace(env: TestEnvironment) -> None:
    """By the validator."""
    run = await env.client.start(cluster)(4)
    with pytest.raises(RequestFailedError, match="this cluster has 4"):
        await run.update(lend, Job("too big", 5))
    assert not [r for r in await run.history() if isinstance(r.event, UpdateAccepted)]


async def test_the_end_waits_for_the_handlers(env: TestEnvironment) -> None:
    """A caller whose machines are being prepared gets them, although the cluster shuts down."""
    run = await env.client.start(cluster)(4)
    asked = await run.start_update(lend, Job("last", 4))
    await run.signal(shut_down)
    assert len(await asked.result()) == 4
    assert await run.result() == 1
    assert_replays(cluster, await run.history())


async def test_a_crash_in_the_middle_of_a_handler(env: TestEnvironment) -> None:
    """It goes on with the machine where it was."""
    run = await env.client.start(cluster)(4)
    asked = await run.start_update(lend, Job("job", 4))
    await env.advance("2.5 s")
    await env.crash_worker()
    assert await asked.result() == ["machine-1", "machine-2", "machine-3", "machine-4"]
    assert len(env.calls(prepare)) <= 5  # the one that was under way may have been begun anew
