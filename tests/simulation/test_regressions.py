"""What simulations have found, told as single stories."""

import pytest

from durable import Signal, workflow
from durable.errors import RunClosedError
from tests.engine.env import engines

word = Signal("word", str)


@workflow
async def hear_one() -> str:
    """End with the first word."""
    return await word.receive()


async def test_a_signal_repeated_after_the_close_is_known_by_its_request() -> None:
    """Its first answer may have been lost: the repeat tells the truth, and only a new signal is refused."""
    async with engines() as env:
        await env.begin([hear_one])
        handle = await env.client.start(hear_one, id="w")()
        await handle.signal(word, "yes", request_id="first")
        await env.settle()
        assert await env.status("w") == "completed"
        await handle.signal(word, "yes", request_id="first")
        with pytest.raises(RunClosedError):
            await handle.signal(word, "no", request_id="second")


async def test_a_cancellation_that_comes_after_the_close_is_refused() -> None:
    """No earlier try of it is in the history: it had no effect, and says so."""
    async with engines() as env:
        await env.begin([hear_one])
        handle = await env.client.start(hear_one, id="w")()
        await env.settle()
        await handle.terminate()
        await env.settle()
        assert await env.status("w") == "terminated"
        with pytest.raises(RunClosedError):
            await handle.cancel()
