"""Invariant 3: what crosses partitions goes through an outbox: relayed at least once, received once.

Breaks that were tried, each of which fails a test here: a new owner that does not look at what is left in the outbox; the
request of a relayed message made anew for each send.
"""

import pytest

from durable._log import partition_of
from durable.author import Signal, external, sleep, workflow
from durable.errors import RunNotFoundError
from tests.engine.env import engines
from tests.engine.faults import FaultyStore

word = Signal("word", str)


@workflow
async def sender(to: str, words: list[str]) -> str:
    for each in words:
        await external(to).signal(word, each)
    return "sent"


@workflow
async def receiver(n: int) -> list[str]:
    got = [await word.receive() for _ in range(n)]
    await sleep(5)
    while (more := word.receive_nowait()) is not None:
        got.append(more)
    return got


def ids(partitions: int) -> tuple[str, str]:
    """Return two workflow ids in different partitions."""
    names = [f"w{n}" for n in range(50)]
    first = names[0]
    return first, next(n for n in names if partition_of(n, partitions) != partition_of(first, partitions))


async def test_a_signal_to_another_partition_arrives_once_and_in_order() -> None:
    """The plain case."""
    async with engines() as env:
        here, there = ids(env.store.partitions)
        await env.begin([sender, receiver])
        target = await env.client.start(receiver, id=there)(3)
        source = await env.client.start(sender, id=here)(there, ["a", "b", "c"])
        assert await env.drive(source.result()) == "sent"
        assert await env.drive(target.result()) == ["a", "b", "c"]
        assert (await env.store.inspect.counts())["outgoing"] == 0


@pytest.mark.parametrize("fate", ["die", "die after"])
@pytest.mark.parametrize("call", ["send", "commit"])
@pytest.mark.parametrize("nth", range(3))
async def test_a_relay_that_is_cut_off_is_done_again_by_the_next_owner(call: str, fate: str, nth: int) -> None:
    """Before the send, between the send and the commit that records it, or after: the receiver sees each word once."""
    async with engines() as env:
        here, there = ids(env.store.partitions)
        seen = [0]

        def plan(name: str, _number: int) -> str:
            if name == call:
                seen[0] += 1
                return fate if seen[0] == nth + 1 else ""
            return ""

        first = await env.begin([sender, receiver], store=FaultyStore(env.store, plan))  # type: ignore[arg-type]
        target = await env.client.start(receiver, id=there)(2)
        source = await env.client.start(sender, id=here)(there, ["a", "b"])
        await env.settle()
        await env.kill(first)
        await env.begin([sender, receiver])
        assert await env.drive(source.result()) == "sent"
        assert await env.drive(target.result()) == ["a", "b"]
        assert (await env.store.inspect.counts())["outgoing"] == 0


async def test_a_message_to_no_run_fails_the_call_in_the_sender() -> None:
    """The error reaches the workflow's code, which may go on."""

    @workflow
    async def hopeful() -> str:
        try:
            await external("nobody").signal(word, "hello")
        except RunNotFoundError as error:
            signalled = str(error)
        try:
            await external("nobody").cancel("why not")
        except RunNotFoundError as error:
            return f"{signalled}; {error}"
        return ""

    async with engines() as env:
        await env.begin([hopeful])
        handle = await env.client.start(hopeful, id="h")()
        assert await env.drive(handle.result()) == "no run of workflow id 'nobody'; no run of workflow id 'nobody'"
