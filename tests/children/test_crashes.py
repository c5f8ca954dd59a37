"""Workers that die at any commit or relay of a family of runs: each child is started once, and each end is told once.

Breaks that were tried, each of which fails a test here: the run's id made by the relay; what commits add while the left-overs
are read sent before these; no look for the run by its id before it is created again.
"""

import asyncio
from pathlib import Path

import pytest

from durable.author import Signal, activity, proxy, sleep, start_child, workflow
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

word = Signal("word", str)
CALLS = ("commit", "create", "send")


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


@pytest.mark.parametrize(("partitions", "cache"), [(1, None), (3, 0)])
@pytest.mark.parametrize("fate", ["die", "die after", "before", "after"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_worker_is_lost_at_each_call(call: str, fate: str, cache: int | None, partitions: int) -> None:
    """At the first such call, the second and so on, until one comes after the end of the scenario."""
    for nth in range(40):
        reached = await lost_at(call, nth, fate, cache, partitions)
        if not reached:
            break
    else:
        raise AssertionError("there is no end of it")
    assert nth > 2


async def lost_at(call: str, nth: int, fate: str, cache: int | None, partitions: int) -> bool:
    """Play the scenario with a worker that is lost at the `nth` such call; return whether it came so far."""
    async with engines(partitions=partitions) as env:
        seen = 0
        dead = asyncio.Event()

        def plan(name: str, _number: int) -> str:
            nonlocal seen
            if name == call:
                seen += 1
                if seen == nth + 1:
                    if fate in ("before", "after"):
                        return fate
                    dead.set()
                    return fate
            return ""

        first = await env.begin([family, kid, hears], [add], store=FaultyStore(env.store, plan), cache_runs=cache)  # type: ignore[arg-type]
        handle = await env.client.start(family, id="p")(5)
        for _ in range(12):
            await env.advance(1)
            if dead.is_set():
                break
        if dead.is_set():
            await env.kill(first)
            await env.begin([family, kid, hears], [add], cache_runs=cache)
        assert await env.drive(handle.result()) == [6, "hello", 2, 3]
        await env.advance(5)
        assert await runs_of(env) == dict.fromkeys(await runs_of(env), 1)
        assert await env.status("left") == "terminated"
        tags = await env.tags("p")
        assert [tags.count(kind) for kind in ("ChildStartRequested", "ChildStarted", "ChildCompleted")] == [5, 4, 4]
        counts = await env.store.inspect.counts()
        assert (counts["outgoing"], counts["inbox"], counts["tasks"]) == (0, 0, 0)
        assert_replays(family, await handle.history())
        return seen > nth


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


async def test_a_family_in_a_file_outlives_its_workers(tmp_path: Path) -> None:
    """Each worker is killed as soon as the parent's history has grown under it."""
    async with engines(f"sqlite:///{tmp_path}/runs.db", partitions=2) as env:
        env.spins = 300
        handle = await env.client.start(family, id="p")(5)
        length = 0

        async def has_grown() -> bool:
            return len(await env.history("p")) > length

        while await env.status("p") == "running":
            session = await env.begin([family, kid, hears], [add])
            await env.until(has_grown)
            length = len(await env.history("p"))
            await env.kill(session)
        assert await handle.result() == [6, "hello", 2, 3]
        assert_replays(family, await handle.history())
