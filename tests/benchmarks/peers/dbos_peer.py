"""DBOS on a file of SQLite, workflows and steps in this process, as its documentation sets it up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbos import DBOS, DBOSConfig, SetWorkflowID

from durable.testing.benchmark._programs import TEXT


@DBOS.step()
async def step(number: int, _text: str) -> int:
    """Do nothing."""
    return number + 1


@DBOS.workflow()
async def chain(length: int) -> int:
    """Await so many steps, one after the other."""
    number = 0
    for _ in range(length):
        number = await step(number, TEXT)
    return number


@DBOS.workflow()
async def fan_out(width: int) -> int:
    """Await so many steps, all at once."""
    return sum(await asyncio.gather(*(step(number, TEXT) for number in range(width))))


@DBOS.workflow()
async def signalled(count: int) -> int:
    """Receive so many messages."""
    for _ in range(count):
        await DBOS.recv_async("numbers", timeout_seconds=60)
    return count


class Peer:
    """See `child.Peer`."""

    async def chain(self, id: str, length: int) -> None:
        with SetWorkflowID(id):
            handle = await DBOS.start_workflow_async(chain, length)
        assert await handle.get_result() == length

    async def fan_out(self, id: str, width: int) -> None:
        with SetWorkflowID(id):
            handle = await DBOS.start_workflow_async(fan_out, width)
        assert await handle.get_result() == width * (width + 1) // 2

    async def signalled(self, id: str, count: int) -> None:
        with SetWorkflowID(id):
            handle = await DBOS.start_workflow_async(signalled, count)
        for number in range(count):
            await DBOS.send_async(id, number, "numbers")
        assert await handle.get_result() == count


@asynccontextmanager
async def opened(folder: str) -> AsyncIterator[Peer]:
    """Run DBOS while the block lasts."""
    config = DBOSConfig(name="bench", system_database_url=f"sqlite:///{folder}/dbos.sqlite", log_level="ERROR")
    DBOS(config=config)
    DBOS.launch()
    try:
        yield Peer()
    finally:
        DBOS.destroy()
