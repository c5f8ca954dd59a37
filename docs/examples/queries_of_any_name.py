"""Answer questions whose names are not known beforehand."""

import asyncio

from durable import Query, workflow
from durable.testing import TestEnvironment


@workflow
async def settings(values: dict[str, str]) -> None:
    @Query.dynamic
    def tell(name: str, arguments: list[object]) -> str:
        return values.get(name, "not set")


async def main() -> None:
    async with TestEnvironment(workflows=[settings]) as env:
        handle = await env.client.start(settings)({"colour": "blue"})
        assert await handle.query("colour") == "blue"
        assert await handle.query("size") == "not set"


asyncio.run(main())
