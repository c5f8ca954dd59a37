"""What is relayed between the runs of a family when owners die: each child is started once, and nothing overtakes.

That each feature outlives a death at each write is in tests/killed; these are the orders that need more than one event.

Breaks that were tried, each of which fails a test here: the run's id made by the relay; what commits add while the left-overs
are read sent before these; no look for the run by its id before it is created again.
"""

import asyncio

import pytest

from durable.author import Signal, activity, proxy, sleep, start_child, workflow
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

word = Signal("word", str)


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def kid(n: int) -> int:
    await sleep(1)
    return await add(n, 1)


@workflow
async def hears() -> str:
    return await word.receive()


@workflow
async def family(n: int) -> list[object]:
    first = await kid(n)
    child = await start_child(hears)()
    await child.signal(word, "hello")
    rest = await asyncio.gather(kid(1), kid(2))
    start_child(hears, id="left")()
    return [first, await child, *rest]


async def runs_of(env: Engines) -> dict[str, int]:
    """Return how many runs each workflow id has."""
    found: dict[str, int] = {}
    for run in await env.client.list():
        found[run.workflow_id] = found.get(run.workflow_id, 0) + 1
    return found


@pytest.mark.parametrize("policy", ["terminate", "cancel"])
async def test_what_closes_a_child_does_not_overtake_its_start_after_a_crash(policy: str) -> None:
    """Both are left over in the outbox; the new owner, whose own commits add to it at once, sends the old ones first."""

    @workflow
    async def hasty() -> None:
        start_child(hears, id="kid", parent_close=policy)()  # type: ignore[arg-type]

    async with engines(partitions=1) as env:
        relay = {"create", "send"}
        first = await env.begin(
            [hasty, hears], store=FaultyStore(env.store, lambda name, _n: "die" if name in relay else "")  # type: ignore[arg-type]
        )  # fmt: skip
        handle = await env.client.start(hasty, id="p")()
        await env.drive(handle.result())
        await env.kill(first)
        assert (await env.store.inspect.counts())["outgoing"] == 2
        await env.begin([hasty, hears])
        await env.advance(1)
        assert await env.status("kid") == ("terminated" if policy == "terminate" else "cancelled")
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_what_commits_send_waits_until_the_left_overs_are_read() -> None:
    """The start is left over; the new owner is slow to read its outbox, and the parent closes under it meanwhile."""

    @workflow
    async def parent() -> None:
        start_child(hears, id="kid")()
        await word.receive()

    async with engines(partitions=1) as env:
        first = await env.begin(
            [parent, hears], store=FaultyStore(env.store, lambda name, _n: "die" if name == "create" else "")  # type: ignore[arg-type]
        )  # fmt: skip
        handle = await env.client.start(parent, id="p")()
        await env.settle()
        await env.kill(first)
        gate = asyncio.get_running_loop().create_future()
        slow = FaultyStore(env.store, lambda name, _n: gate if name == "read_outgoing" else "")
        await env.begin([parent, hears], store=slow)  # type: ignore[arg-type]
        await handle.signal(word, "go")
        await env.drive(handle.result())
        await env.advance(1)
        gate.set_result(None)
        await env.advance(1)
        assert await env.status("kid") == "terminated"
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_a_start_that_is_relayed_again_after_the_childs_end_starts_nothing() -> None:
    """The child has run, closed, and its id is another run's by the time the next owner finds the start in its outbox."""

    @workflow
    async def waits() -> str:
        return await proxy(hears, id="kid")()

    async with engines(partitions=1) as env:
        relayed = False

        def plan(name: str, _number: int) -> object:
            nonlocal relayed
            if name == "create":
                relayed = True
                return "die after"
            return asyncio.get_running_loop().create_future() if name == "commit" and relayed else ""

        first = await env.begin([waits], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        handle = await env.client.start(waits, id="p")()
        await env.settle()
        await env.kill(first)
        (entry,) = await left_over(env)
        child = env.client.handle("kid")
        second = await env.begin([hears])  # it does not know the parent: what is told to that one has to wait
        await child.signal(word, "first")
        await env.advance(1)
        assert await env.status("kid") == "completed"
        assert entry in await left_over(env, second)
        stranger = await env.client.start(hears, id="kid")()
        await env.advance(1)
        await env.kill(second)
        await env.begin([waits, hears])
        assert await env.drive(handle.result()) == "first"
        await env.advance(1)
        assert (await stranger.describe()).status == "running"
        assert (await runs_of(env))["kid"] == 2
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def left_over(env: Engines, session: str = "") -> list[str]:
    """Return the ids of what is in the outbox of the one partition."""
    if session:
        (lease,) = env.engine(session).leases()
        return [item.id for item in await env.store.read_outgoing(lease, limit=10)]
    await env.store.begin_session("looks", "test", b"{}", 10**9)
    (lease,) = await env.store.acquire("looks", "default", [0])
    found = [item.id for item in await env.store.read_outgoing(lease, limit=10)]
    await env.store.release([lease])
    return found
