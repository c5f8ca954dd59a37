"""Cancelling the wait for a child: what the child, the code that waits and the history see of it."""

import asyncio

import pytest

from durable.author import Signal, proxy, sleep, start_child, workflow
from durable.errors import ChildWorkflowError, RunAlreadyOpenError, RunCancelledError
from durable.testing import assert_replays
from tests.engine.env import Engines, engines

go = Signal("go")
word = Signal("word", str)


@workflow
async def cleans_up(seconds: float) -> str:
    """Ends by its cancellation, after some cleanup."""
    try:
        await sleep("10 days")
    finally:
        await sleep(seconds)
    return "slept"


@workflow
async def insists(seconds: float) -> str:
    """Ignores its cancellation and completes."""
    try:
        await sleep("10 days")
    except asyncio.CancelledError:
        await sleep(seconds)
    return "done all the same"


@workflow
async def breaks(seconds: float) -> str:
    """Fails in its cleanup."""
    try:
        await sleep("10 days")
    except asyncio.CancelledError:
        await sleep(seconds)
        raise ValueError("in the cleanup") from None
    return ""


KIDS = [cleans_up, insists, breaks]


@pytest.mark.parametrize("cache", [None, 0])
@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_cancelled_parent_waits_for_its_childs_cleanup(partitions: int, cache: int | None) -> None:
    """The default: the request reaches the child, and the parent ends after it."""

    @workflow
    async def waits() -> str:
        return await proxy(cleans_up, id="kid")(30)

    async with engines(partitions=partitions) as env:
        await env.begin([waits, *KIDS], cache_runs=cache)
        handle = await env.client.start(waits, id="p")()
        await env.advance(1)
        await handle.cancel("enough")
        await env.advance(10)
        assert await env.status("p") == "running"
        assert (await env.tags("p"))[-1] == "ChildCancelRequested"
        with pytest.raises(RunCancelledError):
            await env.drive(handle.result())
        assert await env.status("kid") == "cancelled"
        assert (await env.tags("p"))[-3:] == ["ChildCancelRequested", "ChildFailed", "RunCancelled"]
        assert_replays(waits, await handle.history())
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def outcome_of(env: Engines, kid: object, cancellation: str) -> tuple[str, float]:
    """Run a parent that cancels its wait for `kid` after 10 s; return how that ended and how long it took."""

    @workflow
    async def gives_up() -> str:
        try:
            async with asyncio.timeout(10):
                return await proxy(kid, id="kid", cancellation=cancellation)(20)  # type: ignore[call-overload, no-any-return]
        except TimeoutError:
            return "timeout"
        except ChildWorkflowError as error:
            return f"{type(error.__cause__).__name__}: {error.__cause__}"

    await env.begin([gives_up, *KIDS])
    began = env.clock.now_ms()
    handle = await env.client.start(gives_up, id="p")()
    result = await env.drive(handle.result())
    assert_replays(gives_up, await handle.history())
    return str(result), (env.clock.now_ms() - began) / 1000


@pytest.mark.parametrize(
    ("kid", "told"),
    [(cleans_up, "timeout"), (insists, "done all the same"), (breaks, "ValueError: in the cleanup")],
)
async def test_a_wait_that_times_out_ends_when_the_child_has_ended(kid: object, told: str) -> None:
    """With the child's result or failure, if it has one: asyncio has it so for a task that is awaited."""
    async with engines() as env:
        result, took = await outcome_of(env, kid, "wait")
        assert result == told
        assert took >= 30


async def test_try_asks_the_child_and_raises_at_once() -> None:
    """The child is cleaning up while its parent goes on; the parent's end terminates what is left of it."""
    async with engines() as env:
        result, took = await outcome_of(env, cleans_up, "try")
        assert result == "timeout"
        assert took < 15
        await env.advance(1)
        assert "CancelRequested" in await env.tags("kid")
        assert await env.status("kid") == "terminated"


async def test_abandon_raises_at_once_and_asks_for_nothing() -> None:
    """The child learns nothing of it until its parent ends."""
    async with engines() as env:
        result, took = await outcome_of(env, cleans_up, "abandon")
        assert result == "timeout"
        assert took < 15
        await env.advance(1)
        assert "CancelRequested" not in await env.tags("kid")
        assert "ChildCancelRequested" not in await env.tags("p")


async def test_a_second_cancel_changes_nothing() -> None:
    """One request, one event, and the wait goes on."""

    @workflow
    async def twice() -> str:
        task = asyncio.create_task(proxy(cleans_up, id="kid")(30))  # type: ignore[arg-type]
        await sleep(1)
        task.cancel()
        await sleep(1)
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled"

    async with engines() as env:
        await env.begin([twice, *KIDS])
        handle = await env.client.start(twice, id="p")()
        assert await env.drive(handle.result()) == "cancelled"
        assert (await env.tags("p")).count("ChildCancelRequested") == 1
        assert (await env.tags("kid")).count("CancelRequested") == 1
        assert_replays(twice, await handle.history())


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_cancel_in_the_step_of_the_start_reaches_the_child_after_it(partitions: int) -> None:
    """Both are in the outbox together: the child is created, and cancelled before its first line."""

    @workflow
    async def hasty() -> str:
        task = asyncio.create_task(proxy(cleans_up, id="kid")(30))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled"

    async with engines(partitions=partitions) as env:
        await env.begin([hasty, *KIDS])
        handle = await env.client.start(hasty, id="p")()
        assert await env.drive(handle.result()) == "cancelled"
        assert await env.status("kid") == "cancelled"
        assert await env.tags("p") == [
            "RunStarted", "ChildStartRequested", "ChildCancelRequested", "ChildStarted", "ChildFailed", "RunCompleted",
        ]  # fmt: skip
        assert_replays(hasty, await handle.history())


async def test_a_cancelled_wait_for_the_start_ends_with_the_child() -> None:
    """Nobody has its handle, so the child must not stay behind unasked."""

    @workflow
    async def hasty() -> str:
        task = asyncio.ensure_future(start_child(cleans_up, id="kid")(5))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        return "started"

    async with engines() as env:
        await env.begin([hasty, *KIDS])
        handle = await env.client.start(hasty, id="p")()
        assert await env.drive(handle.result()) == "cancelled"
        assert await env.status("kid") == "cancelled"
        assert_replays(hasty, await handle.history())


async def test_a_cancelled_wait_whose_start_fails_raises_that() -> None:
    """There is no child that could end."""

    @workflow
    async def hasty() -> str:
        task = asyncio.create_task(proxy(cleans_up, id="taken")(5))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        try:
            return await task
        except RunAlreadyOpenError:
            return "taken"

    async with engines() as env:
        await env.begin([hasty, *KIDS])
        await env.client.start(insists, id="taken")(1)
        handle = await env.client.start(hasty, id="p")()
        assert await env.drive(handle.result()) == "taken"
        assert await env.status("taken") == "running"
        assert "CancelRequested" not in await env.tags("taken")
        assert_replays(hasty, await handle.history())


async def test_a_handle_cancels_its_child_and_tells_who_waits() -> None:
    """Nobody cancelled the wait, so it raises `ChildWorkflowError`, not `CancelledError`."""

    @workflow
    async def boss() -> list[str]:
        child = await start_child(cleans_up, id="kid")(5)
        await child.cancel("no need")
        await child.cancel("again")
        try:
            await child
        except ChildWorkflowError as error:
            return [type(error.__cause__).__name__, str(error)]
        return []

    async with engines() as env:
        await env.begin([boss, *KIDS])
        handle = await env.client.start(boss, id="p")()
        kind, told = await env.drive(handle.result())
        assert kind == "RunCancelledError"
        assert "'kid'" in told
        assert "no need" in told
        assert_replays(boss, await handle.history())


async def test_one_of_two_waits_is_cancelled() -> None:
    """With "abandon" the other one goes on: each wait is its own."""

    @workflow
    async def two() -> list[str]:
        child = await start_child(insists, id="kid", cancellation="abandon")(1)
        first, second = asyncio.create_task(child.result()), asyncio.create_task(child.result())
        await sleep(1)
        first.cancel()
        await sleep(1)
        await child.cancel()
        return [str(first.cancelled()), await second, await child]

    async with engines() as env:
        await env.begin([two, *KIDS])
        handle = await env.client.start(two, id="p")()
        assert await env.drive(handle.result()) == ["True", "done all the same", "done all the same"]
        assert_replays(two, await handle.history())


async def test_shield_keeps_the_cancellation_from_the_child() -> None:
    """As asyncio has it; the parent waits for it in its cleanup."""

    @workflow
    async def careful() -> str:
        work = asyncio.ensure_future(proxy(waits_for_word, id="kid")())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            return "cleaned up: " + await work

    async with engines() as env:
        await env.begin([careful, waits_for_word])
        handle = await env.client.start(careful, id="p")()
        await env.advance(1)
        await handle.cancel()
        await env.advance(1)
        assert "ChildCancelRequested" not in await env.tags("p")
        await env.client.handle("kid").signal(word, "end")
        assert await env.drive(handle.result()) == "cleaned up: end"
        assert_replays(careful, await handle.history())


@workflow
async def waits_for_word() -> str:
    return await word.receive()


async def test_wait_for_and_task_groups_cancel_children() -> None:
    """A failing task of a group cancels its siblings' children, and the group waits for them."""

    @workflow
    async def grouped() -> list[str]:
        told: list[str] = []
        try:
            await asyncio.wait_for(proxy(cleans_up, id="a")(5), 1)
        except TimeoutError:
            told.append("timeout")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(proxy(cleans_up, id="b")(5))  # type: ignore[arg-type]
                group.create_task(fails_soon())
        except* ValueError:
            told.append("group")
        return told

    async def fails_soon() -> None:
        await sleep(1)
        raise ValueError("soon")

    async with engines() as env:
        await env.begin([grouped, *KIDS])
        handle = await env.client.start(grouped, id="p")()
        assert await env.drive(handle.result()) == ["timeout", "group"]
        assert [await env.status(kid) for kid in "ab"] == ["cancelled", "cancelled"]
        assert_replays(grouped, await handle.history())


@pytest.mark.parametrize("order", [["word", "cancel"], ["cancel", "word"], ["cancel", "pause", "word"]])
async def test_a_child_that_completes_while_its_parent_is_cancelled(order: list[str]) -> None:
    """The child's own log decides: it completes unless it learns of the cancellation first. Either way the parent agrees."""

    @workflow
    async def waits() -> str:
        return await proxy(waits_for_word, id="kid")()

    async with engines() as env:
        await env.begin([waits, waits_for_word])
        handle = await env.client.start(waits, id="p")()
        await env.advance(1)
        kid = env.client.handle("kid")
        for each in order:
            if each == "cancel":
                await handle.cancel()
            elif each == "pause":
                await env.settle()
            elif await env.status("kid") == "running":
                await kid.signal(word, "end")
        if "pause" in order:
            with pytest.raises(RunCancelledError):
                await env.drive(handle.result())
            assert await env.status("kid") == "cancelled"
        else:
            assert await env.drive(handle.result()) == "end"
            assert "CancelRequested" in await env.tags("p")
        assert_replays(waits, await handle.history())
