"""Code that never comes back is broken off wherever it runs: when a closed run is asked, and when a failed one is reopened."""

import asyncio

import pytest

from durable import _limits
from durable.author import Query, workflow
from durable.errors import RequestFailedError
from tests.engine.env import engines

ask = Query("ask")


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    from durable._engine import _watchdog

    monkeypatch.setattr(_watchdog.Watchdog.__init__, "__kwdefaults__", {
        **(_watchdog.Watchdog.__init__.__kwdefaults__ or {}), "limit_s": 0.1, "poll_s": 0.02,
    })  # fmt: skip
    assert _limits.STEP_CPU_S_MAX > 0.1


def spin(rounds: int = 400_000_000) -> None:
    """Compute for ever, as far as the watchdog's patience goes; the test fails, and does not hang, if nobody stops it."""
    for _ in range(rounds):
        pass
    raise AssertionError("nobody broke it off")


@workflow
async def asked(blocks: bool) -> None:
    @ask.handler
    def on_ask() -> str:
        if blocks:
            spin()
        return "well"


async def test_a_query_of_an_earlier_run_that_never_ends_is_broken_off() -> None:
    """The run is closed and not the latest of its id: it is replayed beside the loop, under the same watch."""
    async with engines(partitions=1) as env:
        await env.begin([asked])
        first = await env.client.start(asked, id="a")(True)
        await env.drive(first.result())
        await env.drive((await env.client.start(asked, id="a")(False)).result())
        with pytest.raises(RequestFailedError, match="broken off"):
            await env.drive(env.client.handle("a", first.run_id).query(ask))
        assert await env.drive(env.client.handle("a").query(ask)) == "well"


async def test_code_that_never_ends_after_it_was_reopened_is_broken_off() -> None:
    """The new code of a failed run may be worse than the old one."""
    blocks = False

    @workflow
    async def fails() -> None:
        await asyncio.sleep(0)
        if blocks:
            spin()
        raise ValueError("no")

    async with engines(partitions=1) as env:
        await env.begin([fails, asked])
        handle = await env.client.start(fails, id="f")()
        await env.settle()
        assert await env.status("f") == "failed"
        blocks = True
        with pytest.raises(RequestFailedError, match="broken off"):
            await env.drive(handle.retry())
        blocks = False
        await env.drive((await env.client.start(asked, id="a")(False)).result())
        assert await env.status("f") == "failed"
