"""What becomes of open children when their parent closes: each way to close, each policy, with and without working code."""

from typing import Any

import pytest

from durable import Handle
from durable.author import Signal, sleep, start_child, workflow
from durable.errors import RunOutcomeError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

go = Signal("go")
FATES = {"terminate": "terminated", "cancel": "cancelled", "abandon": "running"}


@workflow
async def sleeper() -> None:
    await sleep("10 days")


@workflow(timeout=3_600)
async def parent(policy: str, how: str) -> None:
    await start_child(sleeper, id="kid", parent_close=policy)()  # type: ignore[arg-type]
    await go.receive()
    if how == "failed":
        raise ValueError("on purpose")


async def closed(env: Engines, handle: Handle[Any], how: str) -> None:
    """Make the parent end in this way."""
    match how:
        case "completed" | "failed":
            await handle.signal(go)
        case "cancelled":
            await handle.cancel()
        case "terminated":
            await handle.terminate()
        case _:
            await env.advance(3_601)
    with_error = how != "completed"
    try:
        await env.drive(handle.result())
    except RunOutcomeError:
        assert with_error
    else:
        assert not with_error


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("how", ["completed", "failed", "cancelled", "terminated", "timed_out"])
@pytest.mark.parametrize("policy", FATES)
async def test_the_policy_holds_however_the_parent_closes(
    policy: str, how: str, partitions: int, cache: int | None
) -> None:
    """Terminated, asked to cancel, or left alone."""
    async with engines(partitions=partitions) as env:
        await env.begin([parent, sleeper], cache_runs=cache)
        handle = await env.client.start(parent, id="p")(policy, how)
        await env.advance(1)
        assert await env.status("kid") == "running"
        await closed(env, handle, how)
        await env.advance(1)
        assert (await env.status("p"), await env.status("kid")) == (how, FATES[policy])
        assert_replays(parent, await handle.history())
        counts = await env.store.inspect.counts()
        assert (counts["outgoing"], counts["inbox"]) == (0, 0)


@pytest.mark.parametrize("how", ["terminated", "timed_out"])
@pytest.mark.parametrize("policy", FATES)
async def test_the_policy_holds_for_a_parent_whose_code_is_of_no_use(policy: str, how: str) -> None:
    """Its worker is gone, the one that is there does not know its workflow: the history says what is open."""
    async with engines(partitions=1) as env:
        first = await env.begin([parent, sleeper])
        handle = await env.client.start(parent, id="p")(policy, how)
        await env.advance(1)
        await env.kill(first)
        await env.begin([sleeper])
        await closed(env, handle, how)
        await env.advance(1)
        assert (await env.status("p"), await env.status("kid")) == (how, FATES[policy])
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_a_child_whose_code_is_of_no_use_tells_its_parent_when_it_is_terminated() -> None:
    """The parent is not left waiting."""

    @workflow
    async def waits() -> str:
        child = await start_child(sleeper, id="kid", queue="far")()
        try:
            await child
        except Exception as error:
            return type(error.__cause__).__name__
        return ""

    async with engines() as env:
        await env.begin([waits])
        await env.begin([parent], queue="far")  # it does not know the child
        handle = await env.client.start(waits, id="p")()
        await env.advance(5)
        assert await env.stuck("kid")
        await env.client.handle("kid").terminate()
        assert await env.drive(handle.result()) == "RunTerminatedError"
        assert_replays(waits, await handle.history())


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_parent_that_ends_in_the_step_that_started_a_child_takes_it_along(partitions: int) -> None:
    """The start and the termination are in the outbox together, in this order."""

    @workflow
    async def hasty() -> None:
        for n in range(5):
            start_child(sleeper, id=f"kid-{n}")()
        start_child(sleeper, id="free", parent_close="abandon")()

    async with engines(partitions=partitions) as env:
        await env.begin([hasty, sleeper])
        handle = await env.client.start(hasty, id="p")()
        await env.drive(handle.result())
        await env.advance(1)
        assert {await env.status(f"kid-{n}") for n in range(5)} == {"terminated"}
        assert await env.status("free") == "running"
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_generations_end_together() -> None:
    """A terminated child's own children end by their policy."""

    @workflow
    async def line(depth: int) -> None:
        if depth:
            await start_child(line, id=f"line-{depth - 1}")(depth - 1)
        await sleep("10 days")

    async with engines(partitions=3) as env:
        await env.begin([line])
        handle = await env.client.start(line, id="line-4")(4)
        await env.advance(5)
        assert {await env.status(f"line-{n}") for n in range(5)} == {"running"}
        await handle.terminate()
        await env.advance(5)
        assert {await env.status(f"line-{n}") for n in range(5)} == {"terminated"}


async def test_a_strangers_run_of_the_childs_id_is_left_alone() -> None:
    """The parent's close is on its way to the child, which ends before it comes; its id is another run's by then."""

    @workflow
    async def leaves() -> None:
        await start_child(waits_for_go, id="kid", queue="far")()
        await go.receive()

    async with engines(partitions=1) as env:
        await env.begin([waits_for_go], queue="far")
        store = FaultyStore(env.store, lambda name, _number: "die" if name == "send" else "")
        first = await env.begin([leaves], store=store)  # type: ignore[arg-type]
        handle = await env.client.start(leaves, id="p")()
        await env.advance(1)
        await handle.signal(go)
        await env.drive(handle.result())
        await env.client.handle("kid").signal(go)
        await env.advance(1)
        assert await env.status("kid") == "completed"
        stranger = await env.client.start(waits_for_go, id="kid", queue="far")()
        await env.kill(first)
        await env.begin([leaves])
        await env.advance(1)
        assert (await env.store.inspect.counts())["outgoing"] == 0
        assert (await stranger.describe()).status == "running"


@workflow
async def waits_for_go() -> None:
    await go.receive()


async def test_what_was_abandoned_tells_nobody_and_leaves_nothing_behind() -> None:
    """Its parent is closed: the word of its end is dropped."""
    async with engines() as env:
        await env.begin([parent, sleeper])
        handle = await env.client.start(parent, id="p")("abandon", "completed")
        await env.advance(1)
        await closed(env, handle, "completed")
        kid = env.client.handle("kid")
        await kid.cancel()
        await env.advance(1)
        assert await env.status("kid") == "cancelled"
        counts = await env.store.inspect.counts()
        assert (counts["outgoing"], counts["inbox"]) == (0, 0)
