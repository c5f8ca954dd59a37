"""Row 6: runs that are not there, have ended, or have an id that cannot be."""

from typing import Any

import pytest

from durable import Signal, workflow
from durable.errors import (
    InvalidIdError,
    RequestFailedError,
    RunAlreadyOpenError,
    RunClosedError,
    RunNotFoundError,
)
from tests.engine.env import engines

go = Signal("go")


@workflow
async def waits() -> str:
    await go.receive()
    return "done"


@pytest.mark.parametrize("call", ["result", "describe", "history", "cancel", "terminate"])
async def test_a_run_that_is_not_there(call: str) -> None:
    """`RunNotFoundError`, naming the id."""
    async with engines() as env:
        await env.begin([waits])
        handle = env.client.handle("nobody")
        with pytest.raises(RunNotFoundError, match="nobody"):
            await env.drive(getattr(handle, call)())
        with pytest.raises(RunNotFoundError, match="nobody"):
            await handle.signal(go)


@pytest.mark.parametrize("call", ["cancel", "terminate"])
async def test_a_run_that_has_ended(call: str) -> None:
    """`RunClosedError`, naming the id; its result can still be had."""
    async with engines() as env:
        await env.begin([waits])
        handle = await env.client.start(waits, id="w")()
        await handle.signal(go)
        assert await env.drive(handle.result()) == "done"
        with pytest.raises(RunClosedError, match="w"):
            await getattr(handle, call)()
        with pytest.raises(RunClosedError, match="w"):
            await handle.signal(go)
        with pytest.raises(RequestFailedError, match="completed"):
            await env.drive(handle.retry())
        assert await env.drive(handle.result()) == "done"


async def test_an_id_that_is_open() -> None:
    """`RunAlreadyOpenError`, with the handle of the open run."""
    async with engines() as env:
        await env.begin([waits])
        first = await env.client.start(waits, id="w")()
        with pytest.raises(RunAlreadyOpenError, match="w") as caught:
            await env.client.start(waits, id="w")()
        assert caught.value.handle.run_id == first.run_id
        await caught.value.handle.signal(go)
        assert await env.drive(caught.value.handle.result()) == "done"


@pytest.mark.parametrize(
    ("workflow_id", "says"),
    [
        ("", "must not be empty"),
        ("é" * 501, "may be 1000 bytes long, this one has 1002"),
        (7, "got 7"),
        ("a\x00b", "control"),
        ("\ud800", "Unicode"),
    ],
)
async def test_an_id_that_cannot_be(workflow_id: Any, says: str) -> None:
    """`InvalidIdError`, for `start` and for `handle`; 1,000 bytes are allowed."""
    async with engines() as env:
        with pytest.raises(InvalidIdError, match=says):
            await env.client.start(waits, id=workflow_id)()
        with pytest.raises(InvalidIdError, match=says):
            env.client.handle(workflow_id)
        await env.client.start(waits, id="é" * 500)()


def test_each_of_these_has_an_error_of_its_own() -> None:
    """So that callers can tell them apart."""
    kinds = {RunNotFoundError, RunClosedError, InvalidIdError, RunAlreadyOpenError}
    assert len(kinds) == 4
    for kind in kinds:
        assert not any(issubclass(kind, other) for other in kinds - {kind})
