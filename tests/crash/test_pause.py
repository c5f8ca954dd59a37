"""A worker that is stopped (SIGSTOP) past its lease and continued afterwards changes nothing."""

import signal

import pytest

from tests.crash.conftest import Scene
from tests.crash.program import THREADS

pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.timeout(120)]


async def test_a_worker_that_was_away_changes_nothing(scene: Scene) -> None:
    """Another finishes its runs meanwhile. When it comes back, it writes into none of them, and takes its share again."""
    workers = scene.workers
    await scene.start(20)
    first = workers.start()
    assert await scene.until(lambda: scene.effects() > 5)
    assert await scene.until(lambda: workers.pause(first))
    workers.start()
    while len(scene.signalled) < len(scene.started):
        await scene.signal()
    for run in scene.started:
        await scene.client.handle(f"run-{run}").result(timeout=60)
    finished = {run: await scene.client.handle(f"run-{run}").history() for run in scene.started}
    effects = scene.effects()
    first.send_signal(signal.SIGCONT)

    async def shared() -> bool:
        return len(await scene.holders()) == 2

    assert await scene.until(shared, within_s=20), workers.log()[-4000:]
    assert first.poll() is None, workers.log()[-4000:]
    for run, history in finished.items():
        assert await scene.client.handle(f"run-{run}").history() == history
    # Code that had begun when it was stopped may still have its effect: one activity on the loop, and one in each thread.
    # What it had claimed and not begun does not begin any more, however much that was.
    assert scene.effects() - effects <= 1 + THREADS
    await scene.start(4)
    while len(scene.signalled) < len(scene.started):
        await scene.signal()
    await scene.reckon()
