"""Workflows at the top of a module, where other processes find them: one that was recorded, and what became of it."""

import asyncio
import builtins

from durable import Signal, activity, patched, sleep, workflow

go = Signal("go", int)
reads_a_file = builtins.open  # under a name of its own, so that only the guard of a running workflow notices


@activity
async def reserve(item: str) -> str:
    return f"{item} reserved"


@activity
async def charge(item: str) -> int:
    return len(item)


ACTIVITIES = [reserve, charge]


@workflow(name="order")
async def order(item: str) -> int:
    """What was recorded."""
    await reserve(item)
    await sleep(1)
    cents = await charge(item)
    return cents + await go.receive()


@workflow(name="order")
async def with_other_words(item: str) -> int:
    """Asks for the same in other words."""
    async with asyncio.timeout(None):
        await reserve(item)
    await asyncio.sleep(1)
    total = await charge(item)
    total += await go.receive()
    return total


@workflow(name="order")
async def without_the_timer(item: str) -> int:
    """A command was removed."""
    await reserve(item)
    cents = await charge(item)
    return cents + await go.receive()


@workflow(name="order")
async def with_another_charge(item: str) -> int:
    """A command was added."""
    await reserve(item)
    await charge("fee")
    await sleep(1)
    cents = await charge(item)
    return cents + await go.receive()


@workflow(name="order")
async def patched_right(item: str) -> int:
    """A command was added, and guarded."""
    await reserve(item)
    if patched("fee"):
        await charge("fee")
    await sleep(1)
    cents = await charge(item)
    return cents + await go.receive()


@workflow(name="order")
async def that_raises(item: str) -> int:
    """Fails where it did not."""
    await reserve(item)
    raise KeyError(item)


@workflow(name="order")
async def that_waits_longer(item: str) -> int:
    """Wants more at the end."""
    await reserve(item)
    await sleep(1)
    cents = await charge(item)
    return cents + await go.receive() + await go.receive()


@workflow(name="order")
async def that_ends_early(item: str) -> int:
    """Ends before the history does."""
    await reserve(item)
    await sleep(1)
    return await charge(item)


@workflow(name="order")
async def of_another_type(item: int) -> int:
    """Cannot read its argument."""
    return item


@workflow(name="order")
async def that_reads(item: str) -> int:
    """Does I/O."""
    await reserve(item)
    with reads_a_file("/etc/hostname") as file:
        return len(file.read())


@workflow(name="order")
async def with_other_values(item: str) -> int:
    """Asks for the same with other values."""
    await reserve(item.upper())
    await sleep(2)
    cents = await charge(item)
    return cents - 1 - await go.receive()


@workflow
async def by_name() -> int:
    """Asks for the same activity with the members of a set: nothing of that is seen in one process."""
    total = 0
    for item in {"lamp", "chair", "table", "clock", "shelf", "plant"}:
        total += await charge(item)
    return total


@workflow
async def by_kind() -> list[str]:
    """Which activity comes first depends on the order of a set."""
    return [str(await {"reserve": reserve, "charge": charge}[kind]("lamp")) for kind in {"reserve", "charge"}]


@workflow
async def by_result() -> list[str]:
    """Only its result depends on the order of a set."""
    return list({"lamp", "chair", "table", "clock", "shelf", "plant"})


@workflow
async def sorted_first() -> set[str]:
    """Uses sets as one may."""
    return {str(each) for each in await asyncio.gather(*(charge(item) for item in sorted({"lamp", "chair", "table"})))}
