"""Code that is thrown away ends without an effect, however it came to that: its `finally` must not run as a plain function."""

import asyncio
import gc

import pytest

from durable._engine.reopen import reopen
from durable._log import RetryRun
from durable.author import Signal, activity, sleep, workflow
from durable.errors import NonDeterminismError
from tests.engine.harness import SteppedRun, replayed_execution
from tests.engine.test_reopen import HistoryOf

go = Signal("go", int)
EFFECTS: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_happens() -> None:
    EFFECTS.clear()


@activity
def refund() -> None:
    EFFECTS.append("refund")


@activity
async def old(n: int) -> int:
    return n


@activity
async def new(n: int) -> int:
    return n


async def with_cleanup() -> None:
    try:
        await sleep(1000)
    finally:
        await refund()  # type: ignore[func-returns-value]


@workflow(name="flow")
async def flow() -> None:
    side = asyncio.create_task(with_cleanup())
    await go.receive()
    await old(1)
    await side


@workflow(name="flow")
async def flow_changed() -> None:
    side = asyncio.create_task(with_cleanup())
    await go.receive()
    await new(1)
    await side


@workflow(name="flow")
async def flow_that_fails() -> None:
    side = asyncio.create_task(with_cleanup())
    await go.receive()
    if side:
        raise ValueError("put right later")


def test_a_replay_that_does_not_fit_leaves_nothing_to_the_garbage_collector() -> None:
    """Else the task that still waits would be ended by it, outside of the run, and refund for real: at every try."""
    run = SteppedRun(flow).start()
    run.signal(go, 1)
    with pytest.raises(NonDeterminismError):
        replayed_execution(flow_changed, run.history)
    gc.collect()
    assert EFFECTS == []


async def test_a_reopening_that_does_not_fit_leaves_nothing_to_the_garbage_collector() -> None:
    """The same where the run is replayed up to its failure, or goes wrong after it."""

    class Haunted(BaseException):
        """Not the workflow's own exception."""

    run = SteppedRun(flow_that_fails).start()
    run.signal(go, 1)
    assert run.status == "failed"
    run.execution.spec = flow_changed
    message = RetryRun(request="again", reply="reply")

    def interrupted(step: object) -> None:
        if interrupted.left:  # type: ignore[attr-defined]
            interrupted.left -= 1  # type: ignore[attr-defined]
            step()  # type: ignore[operator]
        else:
            raise Haunted

    interrupted.left = 1  # type: ignore[attr-defined]
    with pytest.raises(Haunted):
        await reopen(HistoryOf(run), 0, run.execution, message, interrupted)  # type: ignore[arg-type]
    gc.collect()
    assert EFFECTS == []
