"""Two versions side by side: each run ends on the code that it began with."""

import asyncio

from durable import Client, Signal, Worker, workflow

go = Signal("go")


@workflow(name="invite", version="1", pinned=True)
async def invite_1(user: str) -> str:
    await go.receive()
    return f"{user} by letter"


@workflow(name="invite", version="2", pinned=True)
async def invite_2(user: str) -> str:
    await go.receive()
    return f"{user} by mail"


async def main() -> None:
    async with Client.connect("memory:") as client:
        async with (
            Worker(client, workflows=[invite_1]),
            Worker(client, workflows=[invite_2]),
        ):
            old = await client.start(invite_1, id="invite-1")("Ada")
            new = await client.start(invite_2, id="invite-2")("Bo")
            uses = [
                (use.version, use.open_runs, use.served)
                for use in await client.versions()
            ]
            assert uses == [("1", 1, True), ("2", 1, True)]
            await old.signal(go)
            await new.signal(go)
            assert (await old.result(), await new.result()) == (
                "Ada by letter",
                "Bo by mail",
            )


asyncio.run(main())
