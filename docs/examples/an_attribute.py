"""Find runs by typed keys: set at the start, and by the run itself."""

import asyncio

from durable import Attribute, upsert_attributes, workflow
from durable.testing import TestEnvironment

customer = Attribute("customer", str)
total = Attribute("total", int)


@workflow
async def order(items: list[str]) -> None:
    upsert_attributes({total: 10 * len(items)})


async def main() -> None:
    async with TestEnvironment(workflows=[order]) as env:
        for name in ("ada", "bo"):
            await env.client.execute(
                order, id=f"order-{name}", attributes={customer: name}
            )(["lamp"])
        runs = await env.client.list(attributes=[customer == "ada", total >= 5])
        assert [run.workflow_id for run in runs] == ["order-ada"]
        assert runs[0].attributes[total] == 10


asyncio.run(main())
