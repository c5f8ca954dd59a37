"""Cutting the driver at any await, and letting another take over, leaves the same history up to times and attempts."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.env import engines
from tests.engine.faults import FaultyStore
from tests.engine.harness import results_of
from tests.properties.programs import Program, act, interpret, near, programs, signal
from tests.properties.test_replay import closed, recorded_of, shape

fates = st.sampled_from(["die", "die after", "before", "after"])
cuts = st.lists(st.tuples(st.integers(0, 25), fates), min_size=1, max_size=4)


async def lived(program: Program, plans: list[tuple[int, str]], cache_runs: int | None) -> list[bytes]:
    """Run a program with all its signals sent ahead; the n-th call of each engine's life is cut, and the next takes over."""
    async with engines(partitions=1) as env:
        handle = await env.client.start(interpret, id="p")(program)
        for n in range(3):
            await handle.signal(signal, n)
        dead = [False]
        session = ""
        for at, fate in [*plans, (-1, "")]:

            def plan(_name: str, number: int, at: int = at, fate: str = fate) -> str:
                return fate if number == at else ""

            def on_death() -> None:
                dead[0] = True

            if session:
                await env.kill(session)
            dead[0] = False
            store: Any = FaultyStore(env.store, plan, on_death)
            session = await env.begin([interpret], [act, near], store=store, cache_runs=cache_runs)

            async def over() -> bool:
                return dead[0] or await closed(env)

            await env.until(over, steps=600)
            if not dead[0]:
                break
        await env.until(lambda: closed(env), steps=600)
        counts = await env.store.inspect.counts()
        assert (counts["inbox"], counts["tasks"], counts["dues"]) == (0, 0, 0)
        return [recorded.record for recorded in await recorded_of(env)]


@given(program=programs, plans=cuts, cache_runs=st.sampled_from([None, 0]))
def test_a_driver_cut_at_any_await_leaves_the_same_result_and_records_each_activity_once(
    program: Program, plans: list[tuple[int, str]], cache_runs: int | None
) -> None:
    """The process dies before or after a call, or the call's outcome stays unknown: nothing is lost, nothing is there twice."""
    history = asyncio.run(lived(program, plans, cache_runs))
    assert max(Counter(results_of(history)).values(), default=1) == 1
    assert asyncio.run(_replays(history))


@given(
    steps=st.lists(st.sampled_from(["act", "near", "nap", "hear", "chance", "flag"]), min_size=1, max_size=5),
    plans=cuts,
)
def test_a_driver_cut_at_any_await_leaves_the_same_history(steps: list[str], plans: list[tuple[int, str]]) -> None:
    """Of a program in which nothing races with anything, so that there is only one history it can have."""
    arguments = {"act": [6], "near": [2], "nap": [2], "hear": [None], "chance": [], "flag": [3]}
    program = [[step, *arguments[step]] for step in steps]
    whole = shape(asyncio.run(lived(program, [], None)), attempts=False)
    cut = shape(asyncio.run(lived(program, plans, None)), attempts=False)
    assert cut == whole


async def _replays(history: list[bytes]) -> bool:
    from tests.engine.harness import replayed_execution

    execution = replayed_execution(interpret, history)
    closed_by = bool(execution.closed)
    execution.dispose()
    return closed_by
