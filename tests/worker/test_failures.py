"""What an activity raises reaches its run; what keeps it from running at all does not."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from durable import RetryPolicy, activity, local, proxy, workflow
from durable.codec import JsonCodec, Payload
from durable.errors import ActivityError, EncodeError, RunFailedError
from tests.virtual import in_virtual_time
from tests.worker.cpu import Odd, halve, vanish
from tests.worker.harness import connected, history_types, serving, until, working

AT_ONCE = RetryPolicy(initial_interval=0.001, maximum_interval=0.001)


class Declined(Exception):
    """Declared by `charge`."""


@in_virtual_time
async def test_a_declared_error_reaches_the_workflow_as_itself() -> None:
    """It is not retried, and has its class and arguments."""
    calls = 0

    @activity(raises=[Declined])
    async def charge() -> None:
        nonlocal calls
        calls += 1
        raise Declined("no cover", 402)

    @workflow
    async def pay() -> list[object]:
        try:
            await charge()
        except Declined as error:
            return list(error.args)
        return []

    async with serving(workflows=[pay], activities=[charge]) as client:
        assert await client.execute(pay)() == ["no cover", 402]
    assert calls == 1


@pytest.mark.parametrize("how", ["function", "name", "local"])
@in_virtual_time
async def test_an_error_that_only_the_call_declares_is_not_retried(how: str) -> None:
    """It is raised as itself, made of its message, although the activity does not know that it is declared."""
    calls = 0

    @activity
    async def charge(cents: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("try again")
        raise Declined(f"no cover for {cents}")

    declaring: dict[str, Any] = {
        "function": proxy(charge, raises=[Declined], retry=AT_ONCE),
        "name": proxy("charge", raises=[Declined], retry=AT_ONCE),
        "local": local(charge, raises=[Declined], retry=AT_ONCE),
    }

    @workflow
    async def pay() -> str:
        try:
            await declaring[how](5)
        except Declined as error:
            return str(error)
        return ""

    async with serving(workflows=[pay], activities=[charge]) as client:
        assert await client.execute(pay)() == "no cover for 5"
    assert calls == 2


async def test_a_declared_error_crosses_processes() -> None:
    """A child reports it as a declared one too."""

    @workflow
    async def try_it() -> str:
        try:
            await halve(3)
        except Odd as error:
            return str(error)
        return ""

    async with serving(workflows=[try_it], activities=[halve]) as client:
        assert await client.execute(try_it)() == "3 is odd"


@in_virtual_time
async def test_another_error_is_retried_and_then_reported_with_its_cause() -> None:
    """By the policy; `SystemExit` of an activity is its failure, not the worker's end."""
    calls = 0

    @activity(retry=RetryPolicy(max_attempts=3))
    async def leave() -> None:
        nonlocal calls
        calls += 1
        raise SystemExit(3)

    @workflow
    async def run_it() -> str:
        try:
            await leave()
        except ActivityError as error:
            return f"{error.attempt} {error.__cause__!r}"
        return ""

    async with serving(workflows=[run_it], activities=[leave]) as client:
        assert await client.execute(run_it)() == "3 RemoteError('builtins.SystemExit: 3')"
    assert calls == 3


@in_virtual_time
async def test_a_result_that_cannot_be_recorded_fails_its_attempt_for_good() -> None:
    """Trying again would give the same; the message names the activity."""
    calls = 0

    @activity
    async def fetch() -> object:
        nonlocal calls
        calls += 1
        return object()

    @workflow
    async def run_it() -> None:
        await fetch()

    async with serving(workflows=[run_it], activities=[fetch]) as client:
        with pytest.raises(RunFailedError) as caught:
            await client.execute(run_it)()
    assert isinstance(caught.value.__cause__, ActivityError)
    assert isinstance(caught.value.__cause__.__cause__, EncodeError)
    assert "fetch" in str(caught.value.__cause__.__cause__)
    assert calls == 1


@in_virtual_time
async def test_arguments_that_do_not_fit_are_no_failure_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """The task is held and handed back, not failed and not tried in a hot loop; it goes on once the right code is there."""
    calls = 0

    @activity(name="book")
    async def book_wants_number(room: int) -> str:
        nonlocal calls
        calls += 1
        return f"number {room}"

    @activity(name="book")
    async def book_wants_text(room: str) -> str:
        return f"text {room}"

    @workflow
    async def stay() -> str:
        return str(await proxy("book")("a-12"))

    async with connected("memory:") as client:
        with caplog.at_level(logging.ERROR, "durable.worker"):
            async with working(client, workflows=[stay], activities=[book_wants_number]):
                handle = await client.start(stay, id="stay")()
                await until(lambda: caplog.records)
                with pytest.raises(TimeoutError):
                    await handle.result(timeout=0.5)
                (task,) = await client.store.inspect.tasks()
                assert task.deliveries == 1
        assert len(caplog.records) == 1
        assert "activity book cannot begin here" in caplog.text
        assert "'room'" in caplog.text
        (task,) = await client.store.inspect.tasks()
        assert (task.deliveries, task.claimed_by) == (0, None)
        async with working(client, workflows=[stay], activities=[book_wants_text]):
            assert await handle.result(timeout=10) == "text a-12"
        assert calls == 0
        assert "ActivityFailed" not in await history_types(client, "stay")


async def test_a_process_that_dies_fails_its_attempt_only(tmp_path: Path) -> None:
    """Another child takes its place for the next attempt."""

    @workflow
    async def run_it() -> str:
        return str(await proxy(vanish, retry=AT_ONCE)(tmp_path / "marker"))

    async with serving(workflows=[run_it], activities=[vanish]) as client:
        handle = await client.start(run_it)()
        assert await handle.result() == "attempt 2"
        retried = [e.event for e in await handle.history() if type(e.event).__name__ == "ActivityRetryScheduled"]
    assert retried[0].failure["type"] == "builtins.ChildProcessError"  # type: ignore[attr-defined]
    assert "-9" in retried[0].failure["message"]  # type: ignore[attr-defined]


@in_virtual_time
async def test_a_cancelled_error_of_the_code_itself_is_a_failure() -> None:
    """Nobody cancelled this attempt: it must not be mistaken for one that was told to stop."""

    @activity(retry=RetryPolicy(max_attempts=1))
    async def gather_wrongly() -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    @workflow
    async def run_it() -> str:
        try:
            await gather_wrongly()
        except ActivityError as error:
            return str(error.__cause__)
        return ""

    async with serving(workflows=[run_it], activities=[gather_wrongly]) as client:
        assert "CancelledError" in await client.execute(run_it)()


@in_virtual_time
async def test_a_task_that_cancels_itself_fails() -> None:
    """It must not hang: the worker did not ask for it, so it is the code's own doing."""

    @activity(retry=RetryPolicy(max_attempts=1))
    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    @workflow
    async def run_it() -> str:
        try:
            await cancel_itself()
        except ActivityError as error:
            return str(error.__cause__)
        return ""

    async with serving(workflows=[run_it], activities=[cancel_itself]) as client:
        assert "not by its worker" in await client.execute(run_it)()


class Broken(JsonCodec):
    """A codec that raises what no codec should."""

    def encode(self, value: Any, hint: Any, *, what: str) -> Payload:
        """Refuse every result."""
        if what.startswith("the result of"):
            raise ZeroDivisionError("a bug in the codec")
        return super().encode(value, hint, what=what)


@pytest.mark.parametrize("mode", ["async", "thread"])
async def test_whatever_keeps_a_result_from_being_written_fails_its_attempt(mode: str) -> None:
    """Else the attempt would never end: its run would wait for ever, and its slot be gone."""
    calls = 0

    async def fetch_async() -> int:
        nonlocal calls
        calls += 1
        return 1

    def fetch_in_thread() -> int:
        nonlocal calls
        calls += 1
        return 1

    fetch = activity(name="fetch")(fetch_async if mode == "async" else fetch_in_thread)

    @workflow
    async def run_it() -> str:
        try:
            await proxy("fetch", retry=RetryPolicy(max_attempts=2, initial_interval=0.001))()
        except ActivityError as error:
            raise ValueError(repr(error.__cause__)) from None
        return ""

    async with (
        connected("memory:", codec=Broken()) as client,
        working(client, workflows=[run_it], activities=[fetch], max_concurrent_activities=1),
    ):
        handle = await client.start(run_it)()
        with pytest.raises(RunFailedError, match="a bug in the codec"):
            await handle.result(timeout=10)
    assert calls == 2
