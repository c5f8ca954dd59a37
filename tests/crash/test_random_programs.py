"""Random programs on a real store, whose workers are killed: what an oracle says of each is what comes of it."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from durable import Client, Handle
from durable.errors import RunCancelledError, RunFailedError
from durable.testing.simulation._interpreter import (
    WORKFLOWS,
    ask,
    go,
    interpret,
    listen,
    listener_of,
    suffer,
    victim_of,
)
from durable.testing.simulation._oracle import allows, failure_of_program
from durable.testing.simulation._programs import Program, RandomChooser, arguments_of, count_of, draw_program
from durable.testing.simulation._runs import RunModel
from tests.crash.conftest import Scene
from tests.engine.harness import replayed_execution

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(180)]

PROGRAMS, KILLS, UNIT_S = 14, 8, 0.03


async def begin(client: Client, workflow_id: str, program: Program) -> list[asyncio.Task[int]]:
    """Start a program and all that it talks to, and send its signals and updates; return what waits for the answers."""
    if told := arguments_of(program, "tell"):
        await client.start(listen, id=listener_of(workflow_id))(len(told))
    for index in range(count_of(program, "halt")):
        await client.start(suffer, id=victim_of(workflow_id, index))(index)
    handle = await client.start(interpret, id=workflow_id)(program, UNIT_S)
    for number in range(count_of(program, "hear")):
        await handle.signal(go, number)
    return [
        asyncio.create_task(handle.update(ask, number, update_id=f"u-{number}", timeout=90))
        for number in range(count_of(program, "serve"))
    ]


async def check_history(handle: Handle[Any]) -> None:
    """Everything is recorded once and in an order that makes sense, and the replay asks for nothing new."""
    history = await handle.history()
    model = RunModel("run", 0)
    assert [problem for recorded in history if (problem := model.add(recorded.event))] == []
    workflow = next(each for each in WORKFLOWS if each.name == getattr(history[0].event, "workflow", ""))
    replayed_execution(workflow, [recorded.record for recorded in history]).dispose()


async def reckon(client: Client, workflow_id: str, program: Program) -> None:
    """Wait for the end of a program and all that it talks to; each is as the program says."""
    handle = client.handle(workflow_id, workflow=interpret)
    if expected := failure_of_program(program):
        with pytest.raises(RunFailedError) as failed:
            await handle.result(timeout=90)
        assert str(failed.value.__cause__) == expected
    else:
        result = await handle.result(timeout=90)
        assert allows(program, result["log"]), (program, result)
        assert result["heard"] == list(range(count_of(program, "hear")))
        assert result["served"] == list(range(count_of(program, "serve")))
    await check_history(handle)
    if told := arguments_of(program, "tell"):
        listener = client.handle(listener_of(workflow_id), workflow=listen)
        assert await listener.result(timeout=30) == sorted(told)
        await check_history(listener)
    for index in range(count_of(program, "halt")):
        victim = client.handle(victim_of(workflow_id, index), workflow=suffer)
        with pytest.raises(RunCancelledError):
            await victim.result(timeout=30)
        await check_history(victim)


def drawn(chance: random.Random) -> Sequence[Program]:
    return [draw_program(RandomChooser(chance), size=5, alone=True) for _ in range(PROGRAMS)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_programs_survive_the_death_of_their_workers(scene: Scene, seed: int) -> None:
    """Two workers share the file; one is killed as soon as some more effects were seen, and replaced: eight times."""
    chance = random.Random(seed)
    workers = scene.workers
    workers.module = "tests.crash.random_program"
    programs = drawn(chance)
    workers.start()
    workers.start()
    asked = [await begin(scene.client, f"program-{number}", program) for number, program in enumerate(programs)]
    for _ in range(KILLS):
        seen = scene.effects() + chance.randint(1, 6)
        await scene.until(lambda seen=seen: scene.effects() >= seen, within_s=1.5)  # type: ignore[misc]
        workers.kill(chance.choice(workers.alive))
        workers.start()
    async with scene.operated():
        for number, program in enumerate(programs):
            await reckon(scene.client, f"program-{number}", program)
        for waiting in asked:
            assert await asyncio.gather(*waiting) == [2 * number for number in range(len(waiting))]
    counts = await scene.client.store.inspect.counts()
    assert [counts[what] for what in ("inbox", "tasks", "dues", "outgoing")] == [0, 0, 0, 0]
    assert workers.killed == KILLS
