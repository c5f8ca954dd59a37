"""A program for `test_stopping`: a worker on a memory store, told by signals what to do. Prints what happens, line by line.

Arguments: the mode of the activity ("async", "thread" or "process"), and whether it ends by itself ("ends") or not ("hangs").
One in a process ends once the file exists that is the third argument.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

from durable import Client, Worker, activity, activity_info, heartbeat, workflow

MODE, MANNER, ENDING = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # in one piece, whatever other threads and processes write


async def work_async() -> str:
    say("started")
    try:
        await (wait_for_line() if MANNER == "ends" else asyncio.Event().wait())
    except asyncio.CancelledError:
        say("cancelled")
        raise
    return "result"


async def wait_for_line() -> None:
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def read() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(arrived.set)

    threading.Thread(target=read, daemon=True).start()
    await arrived.wait()


def work_in_thread() -> str:
    say("started")
    if MANNER == "ends":
        sys.stdin.readline()
        return "result"
    while not activity_info().cancelled:  # never returns after that either
        time.sleep(0.005)
    say("told")
    while True:
        time.sleep(3600)


def work_in_process() -> str:
    say("started")
    try:
        while MANNER == "hangs" or not ENDING.exists():
            heartbeat()
            time.sleep(0.005)
        say("ending")
        return "result"
    except asyncio.CancelledError:
        say("cancelled")
        raise


work = {
    "async": activity(name="work")(work_async),
    "thread": activity(name="work")(work_in_thread),
    "process": activity(name="work", cpu_bound=True)(work_in_process),
}[MODE]
if MODE == "process":
    work_in_process = work  # where a child process finds it


@workflow
async def run_it() -> str:
    from durable import proxy

    return str(await proxy("work")())


async def watch_leases(client: Client) -> None:
    """Say when the workflows are free for other workers."""
    for held in (True, False):
        while bool((await client.store.inspect.counts())["leases"]) != held:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    say("workflows handed over")


async def main() -> None:
    async with Client.connect("memory:") as client:
        worker = Worker(client, workflows=[run_it], activities=[work], grace=30)
        handle = await client.start(run_it, id="r")()
        watching = asyncio.ensure_future(watch_leases(client))
        await worker.run()
        await watching
        tasks = await client.store.inspect.tasks()
        say(f"tasks {[(task.claimed_by is not None, task.deliveries) for task in tasks]}")
        say(
            f"counts {(await client.store.inspect.counts())['sessions']} {(await client.store.inspect.counts())['leases']}"
        )
        say(f"inbox {(await client.store.inspect.counts())['inbox']}, {(await handle.describe()).status}")
        say(f"handlers restored {signal.getsignal(signal.SIGTERM) is signal.SIG_DFL}")


if __name__ == "__main__":
    asyncio.run(main())
    say("ended")
