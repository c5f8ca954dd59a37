"""SIGKILL at seeded moments, fifty times and more in all: no run is lost, no recorded activity runs again."""

import random

import pytest

from tests.crash.conftest import Scene

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(180)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_workers_that_are_killed_at_random_moments(scene: Scene, seed: int) -> None:
    """Two workers share the file. One of them is killed as soon as some more effects were seen, and replaced: 20 times."""
    chance = random.Random(seed)
    workers = scene.workers
    await scene.start(6)
    workers.start()
    workers.start()
    for _ in range(20):
        await scene.start(2)
        seen = scene.effects() + chance.randint(1, 9)
        await scene.until(lambda seen=seen: scene.effects() >= seen, within_s=2.5)  # type: ignore[misc]
        await scene.signal()
        workers.kill(chance.choice(workers.alive))
        workers.start()
    while len(scene.signalled) < len(scene.started):
        await scene.signal()
    await scene.reckon()
    assert workers.killed == 20


async def test_replacements_that_are_killed_while_they_recover(scene: Scene) -> None:
    """Each takes over what the one before left, and is killed as soon as it owns a partition, or has done one thing."""
    chance = random.Random(3)
    workers = scene.workers
    await scene.start(12)
    for _ in range(12):
        process = workers.start()
        mine = (await scene.client.store.sessions("engine/default"))[:]
        before = {session.id for session in mine}

        async def owns(before: set[str] = before) -> bool:
            holders = await scene.holders()
            return any(session not in before for session in holders)

        await scene.until(owns, within_s=6)
        if chance.random() < 0.5:
            seen = scene.effects()
            await scene.until(lambda seen=seen: scene.effects() > seen, within_s=1)  # type: ignore[misc]
        await scene.signal()
        workers.kill(process)
    workers.start()
    while len(scene.signalled) < len(scene.started):
        await scene.signal()
    await scene.reckon()
    assert workers.killed == 12
