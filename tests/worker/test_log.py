"""What a worker says in its log of what somebody may have to look at, by night: what happened, to what, and why."""

import asyncio
import logging

import pytest

from durable import Client, RetryPolicy, Signal, Worker, activity, sleep, workflow
from durable._limits import TASK_DELIVERIES_MAX
from durable.errors import RunFailedError, RunTimedOutError
from durable.worker._unknown import report_waiting
from tests.worker.harness import serving, until, until_async

TWICE = RetryPolicy(initial_interval=0.001, max_attempts=2)
go_on = Signal("go_on", int)


class Declined(Exception):
    """Declared by `charge`."""


@activity(retry=TWICE, raises=[Declined])
async def charge(fault: str) -> None:
    if fault == "declined":
        raise Declined("no cover")
    raise ConnectionError("the bank did not answer")


@workflow(name="paying")
async def pay(fault: str) -> None:
    await charge(fault)


@workflow(name="napping")
async def nap() -> None:
    await sleep("1 day")


@workflow(name="counting")
async def count() -> int:
    return await go_on.receive()


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_each_failed_attempt_is_a_warning_with_its_run_and_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """And the run that failed of them is one more, with its ids."""
    async with serving(workflows=[pay], activities=[charge]) as client:
        with pytest.raises(RunFailedError):
            await client.execute(pay, id="o-1")("bank")
        run_id = (await client.handle("o-1").describe()).run_id
    first, second, run = messages(caplog, logging.WARNING)
    assert first.startswith("activity charge #1 of o-1 failed, attempt 1: ConnectionError: the bank did not answer (")
    assert first.endswith(" in charge)")
    assert __file__ in first
    assert "attempt 2: ConnectionError" in second
    assert run.startswith(f"paying 'o-1' (run {run_id}) failed: ActivityError: activity 'charge' failed")


async def test_a_declared_error_of_an_activity_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It is an answer that the workflow counts on; only what the workflow makes of it may be."""
    with caplog.at_level(logging.INFO, "durable.worker"):
        async with serving(workflows=[pay], activities=[charge]) as client:
            with pytest.raises(RunFailedError):
                await client.execute(pay, id="o-1")("declined")
    assert ["paying" in text for text in messages(caplog, logging.WARNING)] == [True]
    assert any("failed, attempt 1: " in text and "no cover" in text for text in messages(caplog, logging.INFO))


async def test_a_run_that_reached_its_time_limit_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may be waiting for its result."""
    async with serving(workflows=[nap]) as client:
        with pytest.raises(RunTimedOutError):
            await client.execute(nap, id="n-1", run_timeout="10 ms")()
    (text,) = messages(caplog, logging.WARNING)
    assert text.startswith("napping 'n-1' (run ")
    assert text.endswith(") reached its time limit of 0.01 s")


async def test_a_stuck_run_is_one_error_without_a_stack_of_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    """Our errors say what is wrong; forty lines of our own frames would hide it."""
    async with serving(workflows=[count]) as client:
        handle = await client.start(count, id="c-1")()
        await handle.signal("go_on", "three")
        await until(lambda: messages(caplog, logging.ERROR))
        await handle.terminate()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "workflow id 'c-1' is stuck: DecodeError: the value of signal 'go_on': expected int" in record.getMessage()
    assert record.exc_info is None


async def test_a_parked_task_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """With what to do: its run waits for a person."""
    async with Client.connect("memory:") as client:
        store = client.store
        async with Worker(client, workflows=[pay]):
            await client.start(pay, id="o-1")("bank")
            (task,) = await until_async(store.inspect.tasks)
            for number in range(TASK_DELIVERIES_MAX + 1):
                await store.begin_session(f"s-{number}", "doomed", b"", 1_000)
                await store.claim(f"s-{number}", "default", ["charge"], 1)
                await store.end_session(f"s-{number}")
        reported: set[str] = set()
        for _ in range(2):
            await report_waiting(store, "default", {"charge"}, reported)
    (text,) = messages(caplog, logging.ERROR)
    assert f"task {task.task.id} of queue default (activity charge) is parked" in text
    assert "`durable parked inspect`" in text


async def test_a_signal_to_a_busy_worker_says_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    """Who pressed Ctrl-C should know why nothing ends, and that another one would."""
    begun = asyncio.Event()

    @activity
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    @workflow
    async def wait() -> None:
        await endless()

    async with Client.connect("memory:") as client:
        worker = Worker(client, workflows=[wait], activities=[endless], grace="50 ms")
        async with worker:
            await client.start(wait)()
            await begun.wait()
            assert worker._life is not None
            worker._life.on_signal("SIGINT")
    (text, *_) = messages(caplog, logging.WARNING)
    assert text == "SIGINT: stopping; 1 running activities have 0.05 s to end; a second signal stops them at once"
