"""A process of its own that holds tokens: `python token_holder.py URL`. It does what it is told, line by line, and says how it went.

A line is a JSON list: what to do (complete, fail, heartbeat, cancel), the token, and the value if it takes one.
"""

import asyncio
import json
import sys

from durable import Client
from durable.errors import DurableError


async def do(client: Client, what: str, token: str, *value: object) -> str:
    """Return "done", or the name of the error."""
    try:
        await getattr(client.activity(token), what)(*value)
    except DurableError as error:
        return type(error).__name__
    return "done"


async def main(url: str) -> None:
    async with Client.connect(url) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await do(client, *json.loads(line)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
