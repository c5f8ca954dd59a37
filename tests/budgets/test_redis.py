"""What a Redis server is told: round trips, commands, bytes, and the memory that it keeps."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.budgets.counted import counted, within
from tests.redis_server import RedisServer


@pytest.mark.parametrize(
    ("runs", "length", "at_once", "budget"),
    [
        (1, 100, 1, {"scripts": 1.19, "commands": 21, "sent": 2_041}),
        (20, 1, 1, {"scripts": 7.8, "commands": 98, "sent": 7_451}),
        (50, 10, 50, {"scripts": 1.3, "commands": 20, "sent": 1_800}),
    ],
    ids=["one run", "short runs", "many runs"],
)
async def test_scripts_commands_and_bytes_for_an_activity(
    runs: int, length: int, at_once: int, budget: Mapping[str, float], redis_server: RedisServer, redis_url: str
) -> None:
    """A commit is one script for each partition that it touches."""
    async with counted(redis_url) as found:
        await found.chains(runs=2, length=2, at_once=at_once)
        with redis_server.client() as client:
            client.config_resetstat()
            await found.chains_only(runs, length, at_once)
            told: Any = client.info("commandstats")
            sent: Any = client.info("stats")
        calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in told.items()}
        within("scripts for an activity", calls["evalsha"] / runs / length, budget["scripts"])
        within("commands for an activity", sum(calls.values()) / runs / length, budget["commands"])
        within("bytes sent for an activity", sent["total_net_input_bytes"] / runs / length, budget["sent"])


async def test_the_memory_that_is_kept(redis_server: RedisServer, redis_url: str) -> None:
    """Summed over the keys, which says more than the server's sum: that has its buffers in it."""
    async with counted(redis_url) as found:
        await found.chains(runs=50, length=10, at_once=50)
    with redis_server.client() as client:
        kept = sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter("*"))
    within("bytes kept for an activity", kept / 600, 490)
