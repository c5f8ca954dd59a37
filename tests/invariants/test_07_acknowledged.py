"""Invariant 7: an acknowledged call is durable, and a repeat of it is dropped (with DESIGN §5: a close sees what came before).

Breaks that were tried, each of which fails a test here: the memory store's refusal to close over unread entries left out;
`SignalBox.knows` always false.
"""

import asyncio
from collections.abc import Callable

import pytest

from durable.author import Signal, activity, workflow
from durable.errors import RunClosedError
from tests.engine.env import engines
from tests.engine.faults import FaultyStore

number = Signal("number", int)


@activity
async def work(n: int) -> int:
    return n


@workflow
async def once() -> list[int]:
    got = [await work(1)]
    while (more := number.receive_nowait()) is not None:
        got.append(more)
    return got


def closing_gate(env_commits: list[int], gate: "asyncio.Future[None]", nth: int) -> Callable[[str, int], object]:
    """Return a plan that holds the commit number `nth` back until the gate opens."""

    def plan(name: str, number: int) -> object:
        if name == "commit":
            env_commits.append(number)
            return gate if len(env_commits) == nth else ""
        return ""

    return plan


async def test_a_signal_that_is_acknowledged_while_the_close_is_under_way_is_in_the_history() -> None:
    """The commit that closes the run is refused, the signal comes first, and the code is asked again."""
    async with engines(partitions=1) as env:
        commits: list[int] = []
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await env.begin([once], [work], store=FaultyStore(env.store, closing_gate(commits, gate, 2)))  # type: ignore[arg-type]
        handle = await env.client.start(once, id="o")()
        await env.settle()
        assert len(commits) == 2  # the one with the close is on its way
        assert await env.status("o") == "running"
        await handle.signal(number, 7)
        gate.set_result(None)
        await env.settle()
        assert await env.drive(handle.result()) == [1, 7]
        tags = await env.tags("o")
        assert tags.index("SignalReceived") < tags.index("RunCompleted")


async def test_a_signal_that_was_there_before_the_last_result_is_in_the_history() -> None:
    """It arrived first, and is delivered first."""
    async with engines(partitions=1) as env:
        first = await env.begin([once], [])
        handle = await env.client.start(once, id="o")()
        await env.settle()
        await env.kill(first)
        await handle.signal(number, 7)
        await env.begin([once], [work])
        assert await env.drive(handle.result()) == [1, 7]


async def test_a_signal_to_a_closed_run_is_refused() -> None:
    """Never acknowledged and lost."""
    async with engines() as env:
        await env.begin([once], [work])
        handle = await env.client.start(once, id="o")()
        await env.drive(handle.result())
        with pytest.raises(RunClosedError):
            await handle.signal(number, 1)


async def test_every_acknowledged_signal_of_a_storm_is_seen() -> None:
    """Signals go on being sent until one is refused; all that were taken are in the history, in order."""
    async with engines(partitions=1) as env:
        await env.begin([once], [work])
        handle = await env.client.start(once, id="o")()
        taken: list[int] = []
        for n in range(200):
            try:
                await handle.signal(number, n)
            except RunClosedError:
                break
            taken.append(n)
            for _ in range(n % 20):  # ever longer pauses: somewhere the close gets through between two signals
                await asyncio.sleep(0)
            if n > 20:
                await env.settle()  # a server takes longer than any number of turns
        assert 0 < len(taken) < 200
        result = await env.drive(handle.result())
        assert (await env.tags("o")).count("SignalReceived") == len(taken)
        assert result[1:] == taken[: len(result) - 1]


async def test_a_repeated_request_is_carried_out_once() -> None:
    """A start, a signal and a cancellation, each repeated with the same request id."""

    @workflow
    async def adds() -> int:
        return await number.receive() + await number.receive()

    async with engines() as env:
        first = await env.client.start(adds, id="a", request_id="start-1")()
        again = await env.client.start(adds, id="a", request_id="start-1")()
        assert first.run_id == again.run_id
        await first.signal(number, 1, request_id="s-1")
        await first.signal(number, 1, request_id="s-1")
        await env.begin([adds])
        await first.signal(number, 1, request_id="s-1")
        await env.settle()
        assert (await env.tags("a")).count("SignalReceived") == 1
        await first.signal(number, 5, request_id="s-2")
        assert await env.drive(first.result()) == 6
