"""Tests of `mending.py`: what was recorded is kept, what was wrong is done anew."""

import pytest
from mending import RATES, country, price, quote, rate_of, weigh

from durable.errors import RunFailedError
from durable.testing import TestEnvironment


@pytest.fixture(autouse=True)
def no_rates() -> None:
    """No rate of an earlier test is left."""
    RATES.clear()


async def test_a_retried_quote_is_weighed_once() -> None:
    """The rate comes late; the scales are not asked again."""
    async with TestEnvironment(workflows=[quote], activities=[weigh, rate_of]) as env:
        run = await env.client.start(quote, attributes={country: "NO"})("lamp", "NO")
        with pytest.raises(RunFailedError, match="KeyError"):
            await run.result()
        assert [found.run_id for found in await env.client.list(status="failed", attributes=[country == "NO"])] == [
            run.run_id
        ]
        RATES["NO"] = 300
        await run.retry()
        assert await run.result() == 1200
        assert (len(env.calls(weigh)), len(env.calls(rate_of))) == (1, 2)


async def test_a_fork_asks_for_the_rate_again() -> None:
    """The source keeps its price, and is found by it."""
    RATES["SE"] = 2_000
    async with TestEnvironment(workflows=[quote], activities=[weigh, rate_of]) as env:
        run = await env.client.start(quote, attributes={country: "SE"})("vase", "SE")
        assert await run.result() == 8_000
        RATES["SE"] = 200
        fork = await run.fork(at=4)
        assert await fork.result() == 800
        assert [found.run_id for found in await env.client.list(attributes=[price > 1_000])] == [run.run_id]
        assert len(env.calls(weigh)) == 1
