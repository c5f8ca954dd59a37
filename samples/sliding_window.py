"""A batch over a big file, with a sliding window: a fixed number of records in work at any time, each as a child workflow.

Run it with `python samples/sliding_window.py`. The file has as many lines as it likes: one run reads a page of it at a
time, starts a child for each record, waits while the window is full, and goes on as a new run after some pages, so that
no history grows with the file. The children outlive the run that started them (`parent_close="abandon"`), and say by a
signal to the workflow id, whichever run that is by then, that they are done.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from durable import (
    Client,
    Query,
    Signal,
    Worker,
    activity,
    continue_as_new,
    external,
    info,
    proxy,
    start_child,
    wait_condition,
    workflow,
)

WINDOW, PAGE, RECORDS_PER_RUN = 10, 25, 100

done = Signal("done", int)
progress = Query("progress", int)


@dataclass
class Batch:
    """How far the batch is: the argument of each run."""

    path: str
    offset: int = 0
    """Where the next page begins, in bytes: the file is never read from the front again."""
    started: int = 0
    finished: int = 0
    total: int = 0
    running: set[int] = field(default_factory=set[int])


@dataclass
class Page:
    """Some records, and where the next ones begin; None at the end of the file."""

    records: list[str]
    next_offset: int | None


@activity
def read_page(path: str, offset: int) -> Page:
    """Read the next records."""
    with Path(path).open("rb") as file:
        file.seek(offset)
        lines = [line for _ in range(PAGE) if (line := file.readline())]
        ended = len(lines) < PAGE
        return Page([line.decode().strip() for line in lines], None if ended else file.tell())


@activity
async def handle(record: str) -> int:
    """Would do something with the record."""
    return int(record)


@workflow
async def record(number: int, text: str, batch: str) -> None:
    """One record, as long and as careful as it needs to be."""
    await handle(text)
    await external(batch).signal(done, number)


@workflow
async def sliding_window(batch: Batch) -> Batch:
    """Work through the file; return the counts."""
    started_here = 0

    @done.handler
    def note(number: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by its decorator
        batch.running.discard(number)
        batch.finished += 1

    @progress.handler
    def tell() -> int:  # pyright: ignore[reportUnusedFunction]
        return batch.finished

    while True:
        page = await proxy(read_page)(batch.path, batch.offset)
        for text in page.records:
            await wait_condition(lambda: len(batch.running) < WINDOW)
            batch.started += 1
            started_here += 1
            number = batch.started
            batch.running.add(number)
            child = start_child(record, id=f"{info().workflow_id}/{number}", parent_close="abandon")
            await child(number, text, info().workflow_id)
        if page.next_offset is None:
            await wait_condition(lambda: not batch.running)
            return batch
        batch.offset = page.next_offset
        if started_here >= RECORDS_PER_RUN:
            continue_as_new(batch)


async def main(store: str, records: int = 260) -> None:
    """Write a file, and work through it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.txt"
        path.write_text("".join(f"{number}\n" for number in range(records)), encoding="utf-8")
        async with (
            Client.connect(store) as client,
            Worker(client, workflows=[sliding_window, record], activities=[read_page, handle]),
        ):
            run = await client.start(sliding_window, id="batch")(Batch(str(path)))
            batch = await run.result()
            print(f"{batch.finished} of {records} records are done")
            runs = await client.list(workflow=sliding_window)
            print(f"in {len(runs)} runs, at most {WINDOW} records at a time")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/batch.db")))
