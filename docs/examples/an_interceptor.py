"""Hand on who started a run to each of its activities, in a header."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from durable import Handle, Interceptor, activity, activity_info, workflow
from durable.interceptors import CallActivityInput, StartInput, with_headers
from durable.testing import TestEnvironment


class Identity(Interceptor):
    async def start(
        self, input: StartInput, next: Callable[[StartInput], Awaitable[Handle[Any]]]
    ) -> Handle[Any]:
        return await next(with_headers(input, {"user": "ada"}))

    def call_activity(
        self, input: CallActivityInput, next: Callable[[CallActivityInput], Any]
    ) -> Any:
        return next(with_headers(input, {"user": input.run.headers["user"]}))


@activity
async def charge(cents: int) -> str:
    return f"charged {cents} for {activity_info().headers['user']}"


@workflow
async def checkout(cents: int) -> str:
    return await charge(cents)


async def main() -> None:
    async with TestEnvironment(
        workflows=[checkout], activities=[charge], interceptors=[Identity()]
    ) as env:
        assert await env.client.execute(checkout)(250) == "charged 250 for ada"


asyncio.run(main())
