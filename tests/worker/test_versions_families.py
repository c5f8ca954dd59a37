"""Pinned runs that have children and go on as new: each of them stays with the code that it began with, old workers beside new ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from durable import Client, Query, Signal, Worker, activity, continue_as_new, info, start_child, workflow
from durable.author import Workflow
from durable.errors import RunTerminatedError
from durable.testing import assert_replays
from tests.scenario_store import STORES, scenario_url
from tests.worker.harness import until_async

go = Signal("go")
where = Query("where", list[str])


@activity
async def here(version: str) -> str:
    return f"v{version}"


def family(version: str) -> list[Workflow[..., Any]]:
    """Return the code of a version: a parent that begins three rounds, each with a child that goes on once itself."""

    @workflow(name="kid", version=version, pinned=True)
    async def kid(said: str) -> str:
        said += f" {await here(version)}"
        if said.count("v") == 1:
            continue_as_new(said)
        return said

    @workflow(name="parent", version=version, pinned=True)
    async def parent(left: int, so_far: list[str]) -> list[str]:
        @where.handler
        def tell() -> list[str]:
            return [str(info().version), *so_far]

        child = await start_child(kid, id=f"{info().workflow_id}-kid-{left}")("kid")
        await go.receive()
        so_far.append(await child.result())
        if left > 1:
            continue_as_new(left - 1, so_far)
        return so_far

    return [kid, parent]


OLD, NEW = family("1"), family("2")


@pytest.fixture(params=[*STORES, f"{STORES[0]}, no cache"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client.connect(scenario_url(request.param.partition(", ")[0])) as connected:
        yield connected


@pytest.fixture
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the workers are made with."""
    return {"activities": [here], **({"cache_runs": 0} if "no cache" in request.node.name else {})}


async def versions_of(client: Client, prefix: str) -> set[tuple[str | None, bool]]:
    """Return the versions of all runs of a family."""
    return {(run.version, run.pinned) for run in await client.list(id_prefix=prefix, limit=100)}


async def test_families_stay_with_their_version_through_a_deployment(client: Client, options: dict[str, Any]) -> None:
    """Two of each begin; a worker of both takes over from the old one in the middle; every run of a family is of one version."""
    async with AsyncExitStack() as later:
        async with Worker(client, workflows=OLD, **options):
            old = [await client.start(OLD[1], id=f"old-{n}")(3, []) for n in range(2)]
            for handle in old:
                await handle.signal(go)
                await until_async(lambda handle=handle: _rounds(client, handle.workflow_id, 2))  # type: ignore[misc]
            await later.enter_async_context(Worker(client, workflows=NEW, **options))
            new = [await client.start(NEW[1], id=f"new-{n}")(3, []) for n in range(2)]
            assert await asyncio.gather(*(handle.query(where) for handle in old)) == [["1", "kid v1 v1"]] * 2
        await later.enter_async_context(Worker(client, workflows=[*OLD, *NEW], **options))
        for handle in [*old, *new]:
            for _ in range(3):
                await handle.signal(go)
        for handle, version in [*((each, "1") for each in old), *((each, "2") for each in new)]:
            assert await handle.result(timeout=20) == [f"kid v{version} v{version}"] * 3
            assert await versions_of(client, handle.workflow_id) == {(version, True)}
            assert len(await client.list(id_prefix=handle.workflow_id, limit=100)) == 3 + 3 * 2
        assert {use.open_runs for use in await client.versions()} == {0}
        for run in await client.list(id_prefix="old-0", limit=100):
            code = OLD[0] if run.workflow == "kid" else OLD[1]
            assert_replays(code, await client.handle(run.workflow_id, run.run_id).history())


async def _rounds(client: Client, workflow_id: str, count: int) -> bool:
    runs = await client.list(workflow="parent", id_prefix=workflow_id, limit=100)
    return len(runs) >= count


async def test_a_family_is_ended_by_a_worker_of_its_version(client: Client, options: dict[str, Any]) -> None:
    """The parent is in the second run of its chain; its child, in the inbox of that version, is closed with it."""
    async with Worker(client, workflows=OLD, **options), Worker(client, workflows=NEW, **options):
        handle = await client.start(OLD[1], id="p")(3, [])
        await handle.signal(go)
        await until_async(lambda: _rounds(client, "p", 2))
        await handle.terminate()
        with pytest.raises(RunTerminatedError):
            await handle.result(timeout=20)
        await until_async(lambda: _nobody_is_open(client))
        assert await versions_of(client, "p") == {("1", True)}


async def _nobody_is_open(client: Client) -> bool:
    return not await client.list(status="running")
