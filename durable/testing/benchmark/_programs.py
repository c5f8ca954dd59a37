"""What the benchmarks run: workflows that do nothing but wait, and activities that do nothing at all, with payloads of about 100 bytes."""

import asyncio

from ...author import Signal, activity, workflow

TEXT = "x" * 90  # with its number and its brackets about 100 bytes

numbers = Signal("benchmark numbers", int)


@activity(name="benchmark step")
async def step(number: int, text: str) -> int:
    """Do nothing."""
    return number + 1


@activity(name="benchmark echo")
async def echo(text: str) -> str:
    """Do nothing, and give back what it got."""
    return text


@workflow(name="benchmark chain")
async def chain(length: int) -> int:
    """Await so many activities, one after the other."""
    number = 0
    for _ in range(length):
        number = await step(number, TEXT)
    return number


@workflow(name="benchmark fan-out")
async def fan_out(width: int) -> int:
    """Await so many activities, all at once."""
    return sum(await asyncio.gather(*(step(number, TEXT) for number in range(width))))


@workflow(name="benchmark signals")
async def signalled(count: int) -> int:
    """Receive so many signals."""
    total = 0
    for _ in range(count):
        total += await numbers.receive()
    return total


@workflow(name="benchmark payload")
async def carried(text: str) -> int:
    """Carry a payload to an activity and back."""
    return len(await echo(text))


WORKFLOWS = (chain, fan_out, signalled, carried)
ACTIVITIES = (step, echo)
