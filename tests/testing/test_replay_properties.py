"""Laws of the replayer, for any program: it agrees with the engine, and it points at the very event that differs."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable.testing import replay
from tests.engine.env import engines
from tests.properties.programs import Program, events, interpret, programs
from tests.properties.test_replay import finished


def history_of(program: Program, happens: list[str]) -> list[bytes]:
    """Return the history of a run of `program`, as an engine has written it."""

    async def run() -> list[bytes]:
        async with engines(partitions=1) as env:
            return await finished(env, program, happens)

    return asyncio.run(run())


@settings(max_examples=30)
@given(program=programs, happens=events)
def test_what_an_engine_has_written_replays(program: Program, happens: list[str]) -> None:
    """In silence, to the same end, with the same values."""
    history = history_of(program, happens)
    result = replay(interpret, history)
    assert result.ok, result
    assert result.drift == ()
    assert result.status != "running"


@settings(max_examples=30)
@given(program=programs, happens=events, data=st.data())
def test_the_first_difference_is_the_one_that_is_shown(program: Program, happens: list[str], data: Any) -> None:
    """A command of the history is made another one: its number, and what it is now, are in the answer."""
    history = history_of(program, happens)
    calls = [index for index, record in enumerate(history) if json.loads(record)["type"] == "ActivityScheduled"]
    if not calls:
        return
    index = data.draw(st.sampled_from(calls))
    event = json.loads(history[index])
    history[index] = json.dumps({**event, "activity": "another"}).encode()
    found = replay(interpret, history).divergence
    assert found is not None
    assert (found.kind, found.seq) == ("changed", index + 1)
    assert found.history.startswith("activity 'another'")
    assert found.code == f"activity {event['activity']!r} (#{event['id']})"
