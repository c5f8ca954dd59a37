"""An activity that is completed from outside: by somebody else, in another process, hours later.

Run it with `python samples/callback.py`. A document is sent to a translator. The activity hands over a token and returns
`complete_later()`: its slot is free, and nothing runs while the translator works. Whoever has the token ends the activity
with a result or a failure, from anywhere that reaches the store; a failure is tried again by the policy, with a new token.
"""

import asyncio
import os
import tempfile

from durable import Client, RetryPolicy, Worker, activity, activity_info, complete_later, workflow
from durable.errors import ActivityError

DESK: "asyncio.Queue[tuple[str, str]]" = asyncio.Queue()
"""The outside world: what lies on the translators' desk, each with its token."""


@activity(timeout="7 days", retry=RetryPolicy(initial_interval="10 ms", max_attempts=2))
async def translate(text: str) -> str:
    """Put the text on the desk, and leave."""
    DESK.put_nowait((text, activity_info().token))
    return complete_later()


@workflow
async def publish(text: str) -> str:
    """Wait for the translation, however long it takes."""
    try:
        return f"published: {await translate(text)}"
    except ActivityError as error:
        return f"not published: {error.__cause__}"


async def translator(client: Client) -> None:
    """Somebody else: would be another process with a client of its own, or a web request that comes with the token."""
    while True:
        text, token = await DESK.get()
        work = client.activity(token, activity=translate)
        if text == "unreadable":
            await work.fail(ValueError("nobody can read this"))
        else:
            await work.complete(text.upper())


async def main(store: str) -> None:
    """Publish two documents; the second one is given back twice."""
    async with Client.connect(store) as client, Worker(client, workflows=[publish], activities=[translate]):
        somebody = asyncio.create_task(translator(client))
        print(await client.execute(publish, id="letter")("a letter"))
        print(await client.execute(publish, id="scrawl")("unreadable"))
        somebody.cancel()
        await asyncio.wait([somebody])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/letters.db")))
