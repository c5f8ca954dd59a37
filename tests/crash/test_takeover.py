"""How long the runs of a worker that was killed stand still."""

import time

import pytest

from durable import _limits
from tests.crash.conftest import Scene
from tests.crash.program import EFFECTS

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]

LEASE_S = _limits.LEASE_TTL_MS / 1000


@pytest.mark.parametrize("scene", ["redis"], indirect=True)
async def test_the_runs_of_a_killed_worker_go_on_within_twice_the_lease(scene: Scene) -> None:
    """By default that is ten seconds: then another one has all of its partitions, and every run ends as it should."""
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
    assert sum((await scene.holders()).values()) == partitions  # nobody knows yet

    async def taken_over() -> bool:
        return list((await scene.holders()).values()) == [partitions]

    assert await scene.until(taken_over, within_s=4 * LEASE_S), workers.log()[-4000:]
    assert time.monotonic() - began_s < 2 * LEASE_S
    for _ in range(16):
        await scene.signal()
    await scene.reckon()
