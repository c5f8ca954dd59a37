"""`Client.health` on every store: what only shows when workers have died."""

from pathlib import Path

import msgspec
import pytest

from durable import Client
from durable._log import Offer
from durable.stores import open_store
from durable.testing._clock import ManualClock
from durable.testing.conformance._base import applied, lease_for, task

TTL_MS = 5_000
OFFER = msgspec.json.encode(Offer(pid=1, host="here", workflows=[], activities=["pack"]))


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store that holds nothing, of each kind."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db?synchronous=normal"


async def test_what_dead_workers_hold_is_told_until_another_takes_it(url: str) -> None:
    """A claim outlives its worker's session only if nobody asks for the task: then somebody is to start a worker."""
    clock = ManualClock()
    async with open_store(url, clock=clock) as store:
        lease = await lease_for(store)
        await applied(
            store, lease, tasks=[task("t-1", queue="default", kind="pack"), task("t-2", queue="default", kind="pack")]
        )
        client = Client(store)

        async def levels() -> dict[str, str]:
            return {each.check: each.level for each in (await client.health()).findings}

        await store.begin_session("first", "activities/default", OFFER, TTL_MS)
        held = await store.claim("first", "default", ["pack"], 2)
        assert len(held) == 2
        found = await levels()
        assert found["claims"] == "ok"
        assert "activities" not in found
        clock.advance(TTL_MS / 1000 + 1)
        findings = {each.check: each for each in (await client.health()).findings}
        assert findings["claims"].level == "warning"
        assert findings["claims"].what == "2 tasks are with workers that are gone (activities: pack on queue default)"
        assert findings["activities"].what.startswith("2 tasks of queue default wait for activity pack")
        await store.begin_session("second", "activities/default", OFFER, TTL_MS)
        assert len(await store.claim("second", "default", ["pack"], 2)) == 2
        found = await levels()
        assert found["claims"] == "ok"
        assert "activities" not in found
