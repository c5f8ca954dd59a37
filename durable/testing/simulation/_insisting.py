"""How callers in a simulation call: until they know the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...errors import RequestTimeoutError, StoreUnavailableError

T = TypeVar("T")


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make `call` until its outcome is known, as a caller does who wants to know."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(1)


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """Make `call`, of a request that may be repeated, until somebody answers it."""
    while True:
        try:
            return await insist(call)
        except RequestTimeoutError:
            await asyncio.sleep(1)
