"""The store falls back to an earlier state under an engine that lives through it (docs/decisions: when a store goes back)."""

import asyncio
import logging

import pytest

from durable import Signal, continue_as_new, local, sleep
from durable._log import partition_of
from durable.author import activity, workflow
from durable.history import ChildStartRequested, SignalReceived
from tests.engine.env import Engines, engines
from tests.engine.hand import moment_of

number = Signal("number", int)


@activity
async def add(a: int, b: int) -> int:
    return a + b


@workflow
async def adding(count: int) -> int:
    total = 0
    for _ in range(count):
        total = await add(total, await number.receive())
    return total


@workflow
async def waiting() -> str:
    await sleep(60)
    return "waited"


@workflow
async def in_turns(turn: int) -> str:
    await sleep(60)
    if turn == 1:
        continue_as_new(2)
    return await waiting()  # a child of a default id, which is named after the run


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def heard(env: Engines, workflow_id: str) -> list[str]:
    """Return the requests of the signals in a history."""
    return [event.request for event in await env.history(workflow_id) if isinstance(event, SignalReceived)]


@pytest.mark.parametrize("cache_runs", [0, 10])
async def test_a_run_goes_on_from_the_state_that_the_store_fell_back_to(
    cache_runs: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What was acknowledged before it is there, what came after it is lost, and what is sent again is taken once."""
    async with engines(partitions=1) as env:
        await env.begin([adding], [add], cache_runs=cache_runs)
        handle = await env.client.start(adding, id="a")(3)
        await handle.signal(number, 1, request_id="one")
        await env.settle()
        fall_back = moment_of(env)
        await handle.signal(number, 10, request_id="two")
        await env.settle()
        assert await heard(env, "a") == ["one", "two"]
        fall_back()
        assert await heard(env, "a") == ["one"]
        for request, value in (("one", 1), ("two", 10), ("three", 100)):
            await handle.signal(number, value, request_id=request)
        assert await env.drive(handle.result()) == 111
        assert await heard(env, "a") == ["one", "two", "three"]
    (text,) = told(caplog)
    assert "the store fell back to an earlier state, in partition 0 of inbox 'default'" in text
    assert "was acknowledged" in text
    assert "Send again" in text


async def test_an_engine_with_nothing_to_do_notices_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing comes in any more: a timer that had fired is pending again, and fires again."""
    async with engines(partitions=2) as env:
        session = await env.begin([waiting])
        (before,) = [lease for lease in env.engine(session).leases() if lease.partition == partition_of("w", 2)]
        await env.client.start(waiting, id="w")()
        await env.settle()
        fall_back = moment_of(env)
        await env.until(lambda: _is_completed(env))
        fall_back()
        assert await env.status("w") == "running"
        await env.until(lambda: _is_completed(env), steps=10)
        (after,) = [lease for lease in env.engine(session).leases() if lease.partition == before.partition]
        assert after.epoch > before.epoch
    assert len(told(caplog)) == 1


async def _is_completed(env: Engines) -> bool:
    return await env.status("w") == "completed"


async def test_messages_whose_numbers_are_given_out_again_are_read(caplog: pytest.LogCaptureFixture) -> None:
    """No commit is lost, only messages that were read and wait: their numbers go to others, which must not be skipped."""
    async with engines(partitions=1) as env:
        await env.begin([waiting])  # a worker that does not know `adding`: its runs are stuck, their messages wait
        handle = await env.client.start(adding, id="a")(1)
        await env.advance(1)
        fall_back = moment_of(env)
        await handle.signal(number, 1, request_id="lost")
        await env.settle()
        fall_back()
        await env.client.start(waiting, id="w")()
        await env.until(lambda: _is_completed(env), steps=200)
        assert [text for text in told(caplog) if "fell back" in text]
        await env.begin([waiting, adding], [add])
        await handle.signal(number, 5, request_id="kept")
        for session in list(env.live)[:1]:
            await env.stop(session)
        assert await env.drive(handle.result()) == 5


async def test_what_is_based_on_a_lost_message_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """A start that was read and is lost leaves no history behind, although its step was decided already."""
    held: list[asyncio.Event] = []

    @activity
    async def slow() -> None:
        await held[0].wait()

    @workflow
    async def local_first() -> str:
        await local(slow)()
        return "done"

    held.append(asyncio.Event())
    async with engines(partitions=1) as env:
        await env.begin([local_first], [slow])
        fall_back = moment_of(env)
        await env.client.start(local_first, id="l", request_id="r")()
        await env.settle()
        fall_back()  # while its first step, with the local activity, is under way
        held[0].set()
        await env.settle()
        assert (await env.store.inspect.counts())["records"] == 0
        handle = await env.client.start(local_first, id="l", request_id="r")()
        assert await env.drive(handle.result()) == "done"
    (text,) = told(caplog)
    assert "has no entry" in text


async def test_an_epoch_that_was_given_out_before_is_not_used_again(caplog: pytest.LogCaptureFixture) -> None:
    """The lease goes back as well: commits of its lost life stay fenced out from its next one."""
    async with engines(partitions=1) as env:
        fall_back = moment_of(env)
        session = await env.begin([waiting])
        engine = env.engine(session)
        for _ in range(3):  # it loses its lease, and takes it again
            leases = list(engine.leases())
            await env.store.release(leases)
            engine.lost(leases)
            await env.until(lambda: engine.leases() and engine.leases() != leases)  # noqa: B023
        (last,) = engine.leases()
        fall_back()
        await env.store.begin_session(session, "engine/default", b"{}", 10**9)
        engine.lost([last])
        (new,) = await env.until(engine.leases)
        assert new.epoch == last.epoch + 1
    assert ["had been at 4" in text for text in told(caplog)] == [True]


async def test_a_partition_that_the_store_says_is_held_is_taken_or_given_up() -> None:
    """It was given to another engine; the store fell back to when it was the first one's, who knows nothing of it."""
    async with engines(partitions=2) as env:
        first = await env.begin([waiting])
        fall_back = moment_of(env)
        second = await env.begin([waiting])
        await env.until(lambda: len(env.engine(first).leases()) == len(env.engine(second).leases()) == 1)
        fall_back()
        await env.store.begin_session(second, "engine/default", b"{}", 10**9)
        env.engine(second).lost(env.engine(second).leases())
        await env.until(lambda: len(env.engine(first).leases()) == len(env.engine(second).leases()) == 1)
        holders = await env.store.holders("default")
        assert sorted(holders.values()) == [first, second]
        await env.client.start(waiting, id="w")()
        await env.until(lambda: _is_completed(env), steps=200)


async def test_a_run_whose_start_is_to_be_read_again_is_not_called_stuck(caplog: pytest.LogCaptureFixture) -> None:
    """A later message comes first, before the loss is noticed: the run has no history then, and its code is not at fault."""
    async with engines(partitions=1) as env:
        await env.begin([adding], [add], cache_runs=0)
        handle = await env.client.start(adding, id="a")(2)
        fall_back = moment_of(env)  # its start is in the inbox
        await handle.signal(number, 1, request_id="lost")
        await env.settle()
        fall_back()
        await handle.signal(number, 2, request_id="skipped")
        await handle.signal(number, 3, request_id="read")
        await env.settle()
        assert await env.stuck("a") is None
        assert await env.drive(handle.result()) == 5
    assert ["fell back" in text for text in told(caplog)] == [True]


async def test_messages_that_take_the_numbers_of_lost_ones_are_noticed_as_the_next_one_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before anything of them is committed: a commit that consumed the lost message and a later one would take the one between away."""
    held = asyncio.Event()

    @activity
    async def slow() -> None:
        await held.wait()

    @workflow
    async def local_first() -> None:
        await local(slow)()

    async with engines(partitions=1) as env:
        await env.begin([adding, local_first], [add, slow])
        await env.settle()
        fall_back = moment_of(env)
        await env.client.start(local_first, id="lost")()  # its step is open, and nothing of it is committed
        await env.settle()
        fall_back()
        first = await env.client.start(adding, id="first")(1)
        second = await env.client.start(adding, id="second")(1)
        await env.settle()
        await env.settle()
        assert (await env.store.inspect.counts())["inbox"] == 0  # no time has passed
        assert [text for text in told(caplog) if "fell back" in text]
        for handle in (first, second):
            await handle.signal(number, 7)
            assert await env.drive(handle.result()) == 7
        held.set()


async def test_a_child_of_a_lost_time_is_not_in_the_way_of_the_one_that_comes_instead() -> None:
    """Its parent's continuation is lost, the child, of another partition, is not; the run continues again, at another time."""
    async with engines(partitions=1) as env:
        await env.begin([in_turns, waiting])
        handle = await env.client.start(in_turns, id="t")(1)
        await env.settle()
        fall_back = moment_of(env)

        async def child_id() -> str | None:
            told = await env.history("t")
            return next((event.workflow_id for event in told if isinstance(event, ChildStartRequested)), None)

        lost = await env.until(child_id)
        fall_back()
        env.clock.advance(1)
        await env.client.start(
            waiting, id=lost
        )()  # as it is in a partition that did not fall back so far: of no parent here
        assert await env.drive(handle.result()) == "waited"
        assert await child_id() not in (lost, None)
