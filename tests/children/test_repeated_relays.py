"""A message to another run whose relay is repeated, since its worker died after it: the run has continued as new meanwhile."""

import asyncio

import pytest

from durable.author import Signal, Workflow, continue_as_new, external, start_child, wait_condition, workflow
from durable.testing import assert_replays
from tests.engine.env import Engines, engines
from tests.engine.faults import FaultyStore

word = Signal("word", str)
more = Signal("more")
end = Signal("end")


@workflow
async def target(heard: list[str], hops: int) -> list[str]:
    """It goes on as new at each `more`, with what it has heard; at `end` it returns that."""
    news: list[str] = []

    @word.handler
    async def on_word(said: str) -> None:
        heard.append(said)

    @more.handler
    async def on_more() -> None:
        news.append("more")

    @end.handler
    async def on_end() -> None:
        news.append("end")

    await wait_condition(lambda: bool(news))
    if news == ["more"]:
        continue_as_new(heard, hops + 1)
    return heard


@workflow
async def to_a_stranger() -> str:
    await external("kid").signal(word, "once")
    return "sent"


@workflow
async def to_its_child() -> str:
    child = await start_child(target, id="kid", queue="far", parent_close="abandon")([], 0)
    await more.receive()
    await child.signal(word, "once")
    return "sent"


async def relayed_and_lost(env: Engines, sender: Workflow[[], str]) -> None:
    """Let the sender's worker send the signal and die before it can record that. The receiver has heard it then."""
    armed, sent = [sender is to_a_stranger], asyncio.Event()

    def plan(name: str, _number: int) -> str:
        if name != "send" or not armed[0]:
            return ""
        sent.set()
        return "die after"

    await env.begin([target], queue="far")
    if sender is to_a_stranger:
        await env.client.start(target, id="kid", queue="far")([], 0)
    first = await env.begin([sender], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
    handle = await env.client.start(sender, id="p")()
    await env.settle()
    if sender is to_its_child:
        armed[0] = True
        await handle.signal(more)
    await env.until(sent.is_set)
    await env.settle()
    await env.kill(first)
    assert (await env.store.inspect.counts())["outgoing"] == 1
    assert "ExternalDelivered" not in await env.tags("p")


@pytest.mark.parametrize("hops", [0, 1, 3])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("sender", [to_a_stranger, to_its_child])
async def test_a_signal_is_heard_once_however_often_the_receiver_went_on(
    sender: Workflow[[], str], ended: bool, hops: int
) -> None:
    """The present run knows the calls of those before it, and a closed one says so too."""
    async with engines(partitions=3) as env:
        await relayed_and_lost(env, sender)
        kid = env.client.handle("kid")
        for hop in range(hops):
            await kid.signal(more)
            await env.until(lambda n=hop + 2: _runs(env, n))
        if ended:
            await kid.signal(end)
            await env.until(lambda: _is_closed(env))
        await env.begin([sender])
        parent = env.client.handle("p")
        assert await env.drive(parent.result()) == "sent"  # also if the receiver has ended: it was delivered
        if not ended:
            await env.settle()
            await kid.signal(end)
        assert await env.drive(kid.result()) == ["once"]
        assert len(await env.client.list(workflow=target)) == hops + 1
        assert (await env.store.inspect.counts())["outgoing"] == 0
        assert_replays(sender, await parent.history())


async def _runs(env: Engines, number: int) -> bool:
    return len(await env.client.list(workflow=target)) == number


async def _is_closed(env: Engines) -> bool:
    return await env.status("kid") == "completed"
