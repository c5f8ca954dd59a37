"""Search, count and page through the runs of a store."""

import asyncio

from durable import Attribute, sleep, workflow
from durable.testing import TestEnvironment

customer = Attribute("customer", str)


@workflow
async def order(days: int) -> None:
    await sleep(days * 86_400)


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env, env.frozen():
        for number in range(5):
            name = "ada" if number % 2 else "bo"
            await env.client.start(
                order, id=f"order-{number}", attributes={customer: name}
            )(number + 1)

        adas = await env.client.list(
            workflow=order, status="running", attributes=[customer == "ada"]
        )
        assert [run.workflow_id for run in adas] == ["order-3", "order-1"]
        assert await env.client.count(id_prefix="order-") == {"running": 5}

        page = await env.client.list(limit=2)
        page = await env.client.list(limit=2, before=page[-1])
        assert [run.workflow_id for run in page] == ["order-2", "order-1"]


asyncio.run(main())
