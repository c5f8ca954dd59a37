"""Waiting for what other processes do, of which nobody tells."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_S = 0.005


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so."""
    while True:
        if await condition():
            return
        await asyncio.sleep(LOOK_S)
