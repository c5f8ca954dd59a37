"""How long the runs of a worker that was killed stand still."""

import time

import pytest

from durable import _limits
from tests.crash.conftest import Scene
from tests.crash.program import EFFECTS, expected, journey

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]

LEASE_S = _limits.LEASE_TTL_MS / 1000


@pytest.mark.parametrize("scene", ["redis"], indirect=True)
async def test_the_runs_of_a_killed_worker_go_on_within_twice_the_lease(scene: Scene) -> None:
    """By default that is ten seconds; those of the other worker do not wait at all."""
    workers, partitions = scene.workers, scene.client.store.partitions
    workers.ttl_s = LEASE_S
    killed = workers.start()
    workers.start()

    async def shared() -> bool:
        return sorted((await scene.holders()).values()) == [partitions // 2] * 2

    assert await scene.until(shared), workers.log()[-4000:]
    await scene.start(16)
    # Each waits for its first signal.
    assert await scene.until(lambda: scene.effects() >= 16 * (EFFECTS - 1)), workers.log()[-4000:]
    workers.kill(killed)
    began_s = time.monotonic()
    assert len(await scene.holders()) == 2  # nobody knows yet
    for _ in range(16):
        await scene.signal()
    for run in scene.started:
        assert await scene.client.handle(f"run-{run}", workflow=journey).result(timeout=4 * LEASE_S) == expected(run)
    assert time.monotonic() - began_s < 2 * LEASE_S
    assert len(await scene.holders()) == 1
    await scene.reckon()
