"""Many customers, one worker: an interceptor carries who asks to every activity, and nobody sees what is another's.

Run it with `python samples/tenants.py`. The client's interceptor puts the tenant into a header of each start; the
worker's hands it on to the activities, and sets it around each of their attempts. So no workflow has to mention it.
Headers are recorded, and survive crashes. The limit of a tenant is looked up by a local activity: a short call, which
needs no task on a queue.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from durable import Client, Interceptor, Worker, activity, activity_info, local, workflow
from durable.interceptors import CallActivityInput, RunActivityInput, StartInput, with_headers

TENANT: ContextVar[str] = ContextVar("TENANT")
"""Whose work is done: what a database layer would choose its schema by."""
LIMITS = {"ada": 2, "bo": 3}
DOCUMENTS = {"ada": ["letter", "will", "poem"], "bo": ["bill"]}
"""The outside world."""


class AsTenant(Interceptor):
    """For a client: everything that it starts is started for `tenant`."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:  # noqa: A002
        """Say who asks."""
        return await next(with_headers(input, {"tenant": self.tenant}))


class ForTenant(Interceptor):
    """For a worker: activities work for the tenant of the run that calls them."""

    def call_activity(
        self,
        input: CallActivityInput,  # noqa: A002
        next: Callable[[CallActivityInput], Awaitable[Any]],  # noqa: A002
    ) -> Awaitable[Any]:
        """Hand on who asked: in the workflow, and on each replay."""
        return next(with_headers(input, {"tenant": input.run.headers["tenant"]}))

    async def run_activity(self, input: RunActivityInput, next: Callable[[RunActivityInput], Awaitable[Any]]) -> Any:  # noqa: A002
        """Let code that knows nothing of headers know it."""
        TENANT.set(activity_info().headers["tenant"])
        return await next(input)


@activity
async def limit() -> int:
    """Return how many documents the tenant may export."""
    return LIMITS[TENANT.get()]


@activity
async def documents(count: int) -> list[str]:
    """Return the tenant's documents."""
    return DOCUMENTS[TENANT.get()][:count]


@workflow
async def export() -> list[str]:
    """Export what the tenant may export."""
    return await documents(await local(limit)())


async def main(store: str) -> None:
    """Two tenants ask one worker."""
    async with (
        Client.connect(store) as server,
        Worker(server, workflows=[export], activities=[limit, documents], interceptors=[ForTenant()]),
    ):
        for tenant in ("ada", "bo"):
            client = Client(server.store, interceptors=[AsTenant(tenant)])  # would be one of each request
            print(f"{tenant}: {await client.execute(export, id=f'export-{tenant}')()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(os.environ.get("DURABLE_STORE_URL", f"sqlite:///{folder}/tenants.db")))
