"""Many activities at a time, but not too many: a task group, bounded by a semaphore. Plain asyncio, and durable.

Run it with `python samples/parallel.py`. Forty pictures are scaled, at most five at a time, then joined into one album.
A worker that died in the middle would lose nothing: pictures that are done are recorded, and are not scaled again.
"""

import asyncio
import os
import tempfile

from durable import Client, Worker, activity, workflow

AT_ONCE = 5


class Meter:
    """Counts how many pictures are being scaled, to show that the bound holds."""

    now = 0
    peak = 0


@activity
async def scale(picture: str) -> str:
    """Would call a service that scales pictures."""
    Meter.now += 1
    Meter.peak = max(Meter.peak, Meter.now)
    await asyncio.sleep(0.005)
    Meter.now -= 1
    return picture.replace(".jpg", ".small.jpg")


@activity
async def bind(pictures: list[str]) -> str:
    """Would write the album."""
    return f"an album of {len(pictures)} pictures, from {pictures[0]} to {pictures[-1]}"


@workflow
async def album(pictures: list[str]) -> str:
    """Scale all pictures, a few at a time, and bind them. If one fails for good, the group cancels the others."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def scaled(picture: str) -> str:
        async with gate:
            return await scale(picture)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(scaled(picture)) for picture in pictures]
    return await bind([task.result() for task in tasks])


@workflow
async def contact_sheet(pictures: list[str]) -> list[str]:
    """All at once: `gather` keeps the order of its arguments, whichever comes back first."""
    return await asyncio.gather(*(scale(picture) for picture in pictures))


async def main(store: str) -> None:
    """Make an album, and a contact sheet."""
    pictures = [f"{number:03}.jpg" for number in range(1, 41)]
    async with (
        Client.connect(store) as client,
        Worker(client, workflows=[album, contact_sheet], activities=[scale, bind]),
    ):
        handle = await client.start(album, id="album-2025")(pictures)
        print(f"{await handle.result()}; at most {Meter.peak} at a time")
        sheet = await client.execute(contact_sheet, id="contact-sheet-2025")(pictures[:10])
        print(f"and a contact sheet: {', '.join(sheet[:3])} ...")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/parallel.db")))
