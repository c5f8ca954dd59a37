"""What workflow code may not ask for is refused at the call, with the value, and the run goes on if the code does."""

from typing import Any

import pytest

from durable import Signal, activity, continue_as_new, external, sleep, start_child, workflow
from durable.errors import EncodeError, PayloadTooLargeError
from durable.testing import TestEnvironment

BIG = "x" * 3_000_000
number = Signal("number", int)


@workflow
async def echo(text: str) -> str:
    return text


@activity
async def take(text: str) -> None:
    """Is not reached."""


async def negative_sleep() -> None:
    await sleep(-5)


async def big_activity() -> None:
    await take(BIG)


async def big_child() -> None:
    await echo(BIG)


async def big_started_child() -> None:
    await start_child(echo, id="c")(BIG)


async def big_signal() -> None:
    await external("other").signal(Signal("text", str), BIG)


async def wrong_signal() -> None:
    await external("other").signal(number, "seven")  # type: ignore[arg-type]


CALLS: list[tuple[Any, type[Exception], str]] = [
    (negative_sleep, ValueError, "-5"),
    (big_activity, PayloadTooLargeError, "activity take"),
    (big_child, PayloadTooLargeError, "child echo"),
    (big_started_child, PayloadTooLargeError, "child echo"),
    (big_signal, PayloadTooLargeError, "signal 'text'"),
    (wrong_signal, EncodeError, "expected int, got str"),
]


@pytest.mark.parametrize(("call", "kind", "says"), CALLS, ids=[call.__name__ for call, _, _ in CALLS])
async def test_a_call_that_cannot_be(call: Any, kind: type[Exception], says: str) -> None:
    """Nothing of it is in the history."""

    @workflow
    async def careful() -> str:
        try:
            await call()
        except kind as error:
            return str(error)
        return ""

    async with TestEnvironment(workflows=[careful, echo], activities=[take]) as env:
        run = await env.client.start(careful)()
        assert says in await run.result()
        assert len(await run.history()) == 2


async def test_arguments_of_the_next_run_that_cannot_be() -> None:
    """The run that is to continue stays, and its code learns why."""

    @workflow
    async def again(text: str) -> str:
        try:
            continue_as_new(BIG)
        except PayloadTooLargeError as error:
            return str(error)

    async with TestEnvironment(workflows=[again]) as env:
        run = await env.client.start(again)("")
        assert "workflow again" in await run.result()
        assert len(await env.client.list()) == 1
