"""A child's failure arrives with its cause; one that the child declares, as itself."""

import asyncio

from durable import workflow
from durable.errors import ChildWorkflowError
from durable.testing import TestEnvironment


class OutOfStock(Exception):
    pass


@workflow(raises=[OutOfStock])
async def pack(item: str) -> str:
    raise OutOfStock(item)


@workflow
async def order(item: str) -> str:
    try:
        return await pack(item)
    except ChildWorkflowError as error:
        assert isinstance(error.__cause__, OutOfStock)
        return f"no {error.__cause__} today"


async def main() -> None:
    async with TestEnvironment(workflows=[order, pack]) as env:
        assert await env.client.execute(order)("unicorn") == "no unicorn today"


asyncio.run(main())
