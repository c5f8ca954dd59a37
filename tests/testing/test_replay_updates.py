"""`replay` of histories with updates: what a handler gave may differ and is told, what it asked for may not."""

from collections.abc import Callable
from typing import Any

import pytest

from durable.author import Signal, Update, Workflow, activity, workflow
from durable.testing import replay
from tests.engine.harness import SteppedRun

add = Update("add", int, int)
go = Signal("go")


@activity
async def work(n: int) -> int:
    return n


def adding(handle: Callable[[int], Any]) -> Workflow[..., Any]:
    """A workflow whose handler does `handle` with what an activity gave."""

    @workflow(name="adding")
    async def code() -> None:
        @add.handler
        async def on_add(n: int) -> int:
            return handle(await work(n))  # type: ignore[no-any-return]

        await go.receive()

    return code


def refusing(n: int) -> int:
    raise ValueError(n)


@pytest.fixture
def history() -> list[bytes]:
    """Of a run whose update gave 2."""
    run = SteppedRun(adding(lambda n: n)).start()
    run.update(add, 2, id="u-1")
    run.complete(1, 2)
    run.signal(go)
    return run.history


def test_code_that_gives_the_same_replays(history: list[bytes]) -> None:
    """Nothing differs."""
    result = replay(adding(lambda n: n * 1), history)
    assert (result.ok, result.drift) == (True, ())


@pytest.mark.parametrize(("handle", "now"), [(lambda n: n + 1, "3"), (refusing, "raises ValueError")])
def test_another_answer_is_a_drift(handle: Callable[[int], Any], now: str, history: list[bytes]) -> None:
    """Its caller was told long ago, and the code cannot know: the run goes on."""
    result = replay(adding(handle), history)
    assert result.ok
    (drift,) = result.drift
    assert (drift.history, drift.code) == ("2", now)
    assert "the end of update 'u-1'" in drift.what


def test_a_handler_that_asks_for_something_else_does_not_replay(history: list[bytes]) -> None:
    """The place is the handler's."""

    @workflow(name="adding")
    async def twice() -> None:
        @add.handler
        async def on_add(n: int) -> int:
            return await work(n) + await work(n)

        await go.receive()

    divergence = replay(twice, history).divergence
    assert divergence is not None
    assert "the end of update 'u-1'" in divergence.history
    assert "activity 'work'" in divergence.code
    assert "on_add" in divergence.where


def test_a_handler_that_is_gone_does_not_replay(history: list[bytes]) -> None:
    """An update that was accepted must find its handler."""

    @workflow(name="adding")
    async def without() -> None:
        await go.receive()

    divergence = replay(without, history).divergence
    assert divergence is not None
    assert "no handler for update 'add'" in divergence.code
