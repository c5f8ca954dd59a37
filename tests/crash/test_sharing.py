"""Two worker processes on one file share the partitions, and rebalance when one comes or goes."""

import pytest

from tests.crash.conftest import Scene

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]


async def test_workers_share_the_partitions_of_a_file(scene: Scene) -> None:
    """All to the first, half to each, all to the one that is left: after a stop at once, after a kill when the lease is over."""
    workers = scene.workers
    partitions = scene.client.store.partitions

    async def shares(*expected: int) -> bool:
        async def are() -> bool:
            return sorted((await scene.holders()).values()) == sorted(expected)

        return await scene.until(are, within_s=20)

    await scene.start(10)
    first = workers.start()
    assert await shares(partitions), workers.log()[-4000:]
    second = workers.start()
    assert await shares(partitions // 2, partitions - partitions // 2), workers.log()[-4000:]
    await scene.start(10)
    workers.stop(second)
    assert await shares(partitions)
    third = workers.start()
    assert await shares(partitions // 2, partitions - partitions // 2)
    await scene.start(10)
    workers.kill(first)
    assert await shares(partitions)
    while len(scene.signalled) < len(scene.started):
        await scene.signal()
    await scene.reckon()
    assert third.poll() is None
