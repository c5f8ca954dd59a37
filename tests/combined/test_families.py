"""Children and continue-as-new together: each end of a chain that is a child, and of a parent that goes on as new."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from durable import Handle
from durable.author import Query, Signal, activity, continue_as_new, sleep, start_child, workflow
from durable.errors import RunTerminatedError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.scenario_store import LOCAL, scenario_url

go = Signal("go", int)
heard = Query("heard", list[int])
Open = Callable[[], AbstractAsyncContextManager[Engines]]


@pytest.fixture(params=[*LOCAL, f"{LOCAL[0]}, no cache"])
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens an environment on either store."""

    @asynccontextmanager
    async def opens() -> AsyncGenerator[Engines]:
        kind, _, cache = request.param.partition(", ")
        async with engines(scenario_url(kind)) as env:
            env.cache = 0 if cache else None  # type: ignore[attr-defined]
            yield env

    return opens


@activity
async def one() -> int:
    return 1


@workflow
async def rounds(left: int, done: int = 0) -> int:
    """A chain of `left` runs."""
    done += await one()
    await sleep(1)
    if left > 1:
        continue_as_new(left - 1, done)
    return done


@workflow
async def endless(n: int = 0) -> int:
    """A chain that goes on for ever."""
    await sleep(1)
    return continue_as_new(n + 1)


@workflow
async def listens(so_far: list[int]) -> list[int]:
    """Each run takes one signal and continues; 0 ends the chain."""
    value = await go.receive()
    if value == 0:
        return so_far
    return continue_as_new([*so_far, value])


@workflow(timeout="1 day")
async def waits(how: str = "") -> str:
    """Waits for a child that goes on for ever; tells how that ended for it, and whether it still knows the child's first run."""
    child = await start_child(endless, id="kid")()
    try:
        await child
    except Exception as error:
        return type(error.__cause__).__name__
    return ""


ALL: list[Any] = [rounds, endless, listens, waits]


async def nothing_is_left(env: Engines) -> None:
    """All runs are closed: then the store holds nothing but records and histories, and these replay."""
    known = {each.name: each for each in [*ALL, *EXTRA]}
    for run in await env.client.list():
        assert run.status != "running", run
        assert_replays(known[run.workflow], await env.client.handle(run.workflow_id, run.run_id).history())

    async def left() -> dict[str, int]:
        counts = await env.store.inspect.counts()
        return {name: counts[name] for name in ("inbox", "tasks", "dues", "outgoing") if counts[name]}

    try:
        async with asyncio.timeout(20):  # what was sent last is removed by a commit of its own: real time, on a disk
            while await left():
                await env.advance(0.5)
    except TimeoutError:
        raise AssertionError(f"the store still holds {await left()}") from None


async def until_runs(env: Engines, workflow_id: str, number: int) -> None:
    """Let time pass until this workflow id has had so many runs."""

    async def enough() -> bool:
        return sum(run.workflow_id == workflow_id for run in await env.client.list()) >= number

    await env.until(enough)


async def until_closed(env: Engines, *workflow_ids: str) -> None:
    """Let time pass until the latest runs of these ids are closed."""

    async def closed() -> bool:
        return "running" not in [await env.status(each) for each in workflow_ids]

    await env.until(closed)
    await env.advance(1)


EXTRA: list[Any] = []


def extra(function: Any) -> Any:
    """Note a workflow, so that its histories can be replayed at the end."""
    EXTRA.append(function)
    return function


@extra
@workflow
async def sums_a_chain(n: int) -> list[object]:
    child = await start_child(rounds, id="kid")(n)
    return [await child, child.run_id]


async def test_a_parent_waits_for_a_chain(opened: Open) -> None:
    """It gets the result of the last run, once, and knows the child by its first one."""
    async with opened() as env:
        await env.begin([*ALL, *EXTRA], [one], cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(sums_a_chain, id="p")(5)
        done, first = await env.drive(handle.result())
        assert done == 5
        runs = sorted(run.run_id for run in await env.client.list() if run.workflow_id == "kid")
        assert len(runs) == 5
        assert first == runs[0]
        await nothing_is_left(env)


@pytest.mark.parametrize(
    ("how", "told"),
    [("cancel", "RunCancelledError"), ("terminate", "RunTerminatedError")],
)
async def test_a_chain_that_is_ended_from_outside_tells_its_parent(opened: Open, how: str, told: str) -> None:
    """Whichever of its runs is current."""
    async with opened() as env:
        await env.begin(ALL, [one], cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(waits, id="p")()
        await until_runs(env, "kid", 3)
        await getattr(env.client.handle("kid"), how)()
        assert await env.drive(handle.result()) == told
        await nothing_is_left(env)


@pytest.mark.parametrize("how", ["cancel", "terminate", "time out", "without code"])
async def test_a_chain_ends_with_its_parent(opened: Open, how: str) -> None:
    """What is sent at the parent's close reaches the run that is current then."""
    async with opened() as env:
        session = await env.begin(ALL, [one], cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(waits, id="p")()
        await until_runs(env, "kid", 3)
        if how == "without code":
            await env.kill(session)
            await env.begin([endless])
            await env.advance(1)
        if how == "cancel":
            await handle.cancel()
        elif how == "time out":
            await env.advance("1 day")
        else:
            await handle.terminate()
        await until_closed(env, "p", "kid")
        assert await env.status("kid") == ("cancelled" if how == "cancel" else "terminated")
        await nothing_is_left(env)


@extra
@workflow
async def renews(policy: str, left: int) -> str:
    """Starts a child in each run, and leaves it open."""
    await start_child(endless, id=f"kid-{left}", parent_close=policy)()  # type: ignore[arg-type]
    await sleep(3)
    if left:
        continue_as_new(policy, left - 1)
    return "done"


@pytest.mark.parametrize("policy", ["terminate", "cancel", "abandon"])
async def test_a_parent_that_continues_as_new_closes_its_children_as_any_other(opened: Open, policy: str) -> None:
    """The run that started them is closed, and the one after it knows nothing of them."""
    async with opened() as env:
        await env.begin([*ALL, *EXTRA], [one], cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(renews, id="p")(policy, 2)
        assert await env.drive(handle.result()) == "done"
        if policy != "abandon":
            await until_closed(env, "kid-0", "kid-1", "kid-2")
        states = {"terminate": "terminated", "cancel": "cancelled", "abandon": "running"}
        assert [await env.status(f"kid-{n}") for n in range(3)] == [states[policy]] * 3
        if policy == "abandon":
            for n in range(3):
                await env.client.handle(f"kid-{n}").terminate()
            await until_closed(env, "kid-0", "kid-1", "kid-2")
        await nothing_is_left(env)


@extra
@workflow
async def talks(words: list[int]) -> list[int]:
    """Signals a child that continues as new at each of them."""
    child = await start_child(listens, id="kid")([])
    for word in words:
        await child.signal(go, word)
    await child.signal(go, 0)
    return await child


async def test_signals_of_a_parent_reach_a_child_that_continues_as_new_at_each(opened: Open) -> None:
    """In order, and once."""
    async with opened() as env:
        await env.begin([*ALL, *EXTRA], [one], cache_runs=env.cache)  # type: ignore[attr-defined]
        handle = await env.client.start(talks, id="p")([1, 2, 3])
        assert await env.drive(handle.result()) == [1, 2, 3]
        await until_closed(env, "kid")
        await nothing_is_left(env)


@extra
@workflow
async def fails_once(state: str) -> object:
    """Fails while its child goes on."""
    child = await start_child(rounds, id="kid", parent_close="abandon")(3)
    if await go.receive() == 1:
        raise ValueError("on purpose")
    return await child


async def test_a_reopened_parent_finds_a_chain_that_has_ended_and_whose_id_is_another_runs() -> None:
    """It was known by its first run, which continued as new: the end of the chain is looked for from there."""
    async with engines() as env:

        @workflow(name="fails_once")
        async def put_right(state: str) -> object:
            child = await start_child(rounds, id="kid", parent_close="abandon")(3)
            await go.receive()
            return await child

        first = await env.begin([*ALL, *EXTRA], [one])
        handle: Handle[Any] = await env.client.start(fails_once, id="p")("")
        await env.advance(0.5)
        await handle.signal(go, 1)
        with pytest.raises(Exception, match="on purpose"):
            await env.drive(handle.result())
        for _ in range(4):
            await env.advance(1)
        assert await env.status("kid") == "completed"
        await env.client.start(endless, id="kid")()
        await env.kill(first)
        await env.begin([*ALL, put_right], [one])
        await env.drive(handle.retry())
        assert await env.drive(handle.result()) == 3
        await env.client.handle("kid").terminate()
        with pytest.raises(RunTerminatedError):
            await env.drive(env.client.handle("kid").result())
