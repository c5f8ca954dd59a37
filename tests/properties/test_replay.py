"""Replays of any program: silent, equal at every cut, and the same whatever is kept in memory."""

import asyncio
from typing import Any

from hypothesis import given

from durable.history import ActivityRetryScheduled, Close, RecordedEvent
from tests.engine.env import Engines, engines
from tests.engine.harness import replayed_execution
from tests.properties.programs import Program, act, events, interpret, near, programs, signal


async def finished(env: Engines, program: Program, happens: list[str], **options: Any) -> list[bytes]:
    """Run a program to its end, with what happens to it meanwhile, and return its history."""
    session = await env.begin([interpret], [act, near], **options)
    return await until_closed(env, program, happens, session)


async def until_closed(env: Engines, program: Program, happens: list[str], session: str) -> list[bytes]:
    """Feed a run and wait for its end."""
    handle = await env.client.start(interpret, id="p")(program)
    for number, what in enumerate(happens):
        await env.settle()
        if await env.status("p") != "running":
            break
        if what == "signal":
            await handle.signal(signal, number)
        elif what == "cancel":
            await handle.cancel()
        else:
            await env.advance(1)
    await env.until(lambda: closed(env), steps=600)
    return [recorded.record for recorded in await recorded_of(env)]


async def closed(env: Engines) -> bool:
    """Return whether the run has ended."""
    return await env.status("p") != "running"


async def recorded_of(env: Engines) -> list[RecordedEvent]:
    """Return the history of the run."""
    return list(await env.client.handle("p").history())


def shape(history: list[bytes], *, attempts: bool = True) -> list[Any]:
    """Return a history without its times (and without retries and the numbers of attempts, if not `attempts`)."""
    from durable.history import WIRE

    result = []
    for event in map(WIRE.decode, history):
        if not attempts and isinstance(event, ActivityRetryScheduled):
            continue
        fields = {
            name: bytes(value)
            if hasattr(value := getattr(event, name), "__buffer__") or "Raw" in type(value).__name__
            else value
            for name in event.__struct_fields__
            if name not in ("at", "due_ms", "run_id", "request", "args", "failure") and (attempts or name != "attempt")
        }
        result.append((type(event).__name__, fields))
    return result


@given(program=programs, happens=events)
def test_the_replay_of_a_finished_history_is_silent(program: Program, happens: list[str]) -> None:
    """Replayed, it ends as it did, issues no command, and leaves nothing to do."""

    async def check() -> None:
        async with engines(partitions=1) as env:
            history = await finished(env, program, happens)
        execution = replayed_execution(interpret, history)
        try:
            assert execution.run is not None
            assert execution.closed
            assert execution.run.matcher.emitted == []
            assert execution.run.given_up == []
            last = RecordedEvent.read(len(history), history[-1]).event
            assert isinstance(last, Close)
            if execution.run.finished:
                assert type(execution.run.outcome()) is type(last)
        finally:
            execution.dispose()

    asyncio.run(check())


@given(program=programs, happens=events)
def test_what_is_kept_in_memory_does_not_show(program: Program, happens: list[str]) -> None:
    """Caches of 0, 1 and many runs give equal histories."""

    async def run(cache_runs: int) -> list[Any]:
        async with engines(partitions=1) as env:
            env.spins = 300  # without a cache each event costs the loading of the run, whose turns of the loop add up
            return shape(await finished(env, program, happens, cache_runs=cache_runs))

    histories = [asyncio.run(run(size)) for size in (0, 1, 100)]
    assert histories[0] == histories[1] == histories[2]
