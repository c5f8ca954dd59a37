"""Any random program, forked at any of its points, also while it runs: the fork begins as the source did, ends, and replays."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durable import Handle
from durable.errors import InvalidCallError, RunClosedError
from durable.history import RunForked, fork_point
from tests.engine.env import Engines, engines
from tests.engine.harness import replayed_execution
from tests.properties.programs import Program, act, interpret, near, programs, signal


async def over(env: Engines, workflow_id: str) -> bool:
    return await env.status(workflow_id) != "running"


async def finish(env: Engines, handle: Handle[Any]) -> None:
    """Send a run all signals that its program may wait for, and wait until it has ended."""
    for n in range(3):
        with suppress(RunClosedError):
            await handle.signal(signal, n)
    await env.until(partial(over, env, handle.workflow_id), steps=600)


async def live(program: Program, share: float, cache_runs: int | None, *, kill: bool) -> None:
    """Fork once while the source runs, and once at a point of its whole history; see that both forks come to a good end."""
    async with engines(partitions=2) as env:
        session = await env.begin([interpret], [act, near], cache_runs=cache_runs)
        source = await env.client.start(interpret, id="source")(program)
        await env.until(lambda: env.tags("source"))
        forks = []
        with suppress(InvalidCallError):  # its code has ended in its first step
            forks.append(await source.fork(id="early"))
        await finish(env, source)
        history = await source.history()
        points = []
        for n in range(1, len(history)):
            with suppress(InvalidCallError):
                points.append(fork_point(history, n))
        forks.append(await source.fork(at=points[int(share * (len(points) - 1))], id="late"))
        if kill:
            await env.kill(session)
            await env.begin([interpret], [act, near], cache_runs=cache_runs)
        for fork in forks:
            await finish(env, fork)
            events = await fork.history()
            at = next(n for n, recorded in enumerate(events) if isinstance(recorded.event, RunForked))
            assert [recorded.event for recorded in events[1:at]] == [recorded.event for recorded in history[1:at]]
            execution = replayed_execution(interpret, [recorded.record for recorded in events])
            assert execution.closed == await env.status(fork.workflow_id)
            execution.dispose()
        counts = await env.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"], counts["dues"]) == (0, 0, 0)


@given(program=programs, share=st.floats(0, 1), cache_runs=st.sampled_from([None, 0]), kill=st.booleans())
def test_a_fork_at_any_point_begins_as_its_source_and_ends(
    program: Program, share: float, cache_runs: int | None, kill: bool
) -> None:
    """Whatever is pending there, and whoever builds it; nothing is left over."""
    asyncio.run(live(program, share, cache_runs, kill=kill))
