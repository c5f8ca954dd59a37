"""Tests of `tenants.py`: the tenant of a run reaches its activities, on each replay and after a crash."""

import pytest
from tenants import AsTenant, ForTenant, documents, export, limit

from durable import Client
from durable.testing import TestEnvironment, assert_replays


@pytest.mark.parametrize(("tenant", "exported"), [("ada", ["letter", "will"]), ("bo", ["bill"])])
async def test_each_tenant_exports_its_own(tenant: str, exported: list[str]) -> None:
    """The header comes from the start, and from the history later on."""
    interceptors = [AsTenant(tenant), ForTenant()]
    async with TestEnvironment(
        workflows=[export], activities=[limit, documents], interceptors=interceptors, cache_runs=0
    ) as env:
        run = await env.client.start(export)()
        assert await run.result() == exported
        assert_replays(export, await run.history(), interceptors=interceptors)


async def test_a_start_without_a_tenant_fails() -> None:
    """The worker asks for one."""
    async with TestEnvironment(workflows=[export], activities=[limit, documents], interceptors=[ForTenant()]) as env:
        stranger = Client(env.client.store)
        run = await stranger.start(export)()
        await env.settle()
        described = await env.client.handle(run.workflow_id).describe()
        assert described.status == "failed"
