"""The demo's worker process: `python -m durable.cli._demo._worker FOLDER_OF_THE_SAMPLE`. Ends when its parent does."""

import asyncio
import importlib
import os
import sys
import threading

from ... import Client, Worker

LEASE_S = 1.0  # a demo should not wait long for a takeover; in production the default of 5 s spares the store


async def run(folder: str) -> None:
    """Run the shop's workflow and activities until the process is killed."""
    sys.path.insert(0, folder)
    shop = importlib.import_module("shop")
    ready = importlib.import_module("worker")
    async with Client.connect(os.environ["DURABLE_STORE"]) as client:
        worker = Worker(client, workflows=[shop.checkout], activities=ready.ACTIVITIES, lease_ttl=LEASE_S)
        await worker.run()


def end_with_parent() -> None:
    """End this process when standard input closes: no worker outlives a demo, not even one that is killed itself."""

    def watch() -> None:
        while os.read(
            0, 1024
        ):  # not `sys.stdin`: its lock would be in the way when this process ends in an orderly manner
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(run(sys.argv[1]))
