"""A store that does what a network does to it: calls are held back, fail before they are applied, or after."""

import asyncio
from collections.abc import Callable
from typing import Any

from durable.errors import StoreUnavailableError
from durable.stores import Store

DRIVEN = (
    "commit", "create", "document", "read", "read_inboxes", "read_dues", "read_outgoing", "send", "acquire", "release", "sessions",
    "holders", "complete",
)  # fmt: skip


class FaultyStore:
    """Passes everything on to `store`, but asks `plan` first for each awaited call of an engine.

    `plan(name, number)` is given the method and how many such calls there were before. It returns "" (go on), "before" or
    "after" (raise `StoreUnavailableError` without or with the effect), "die" or "die after" (the same, but `on_death` is
    called and the caller never hears of it), or a future to wait for before the call.
    """

    def __init__(
        self, store: Store, plan: Callable[[str, int], Any], on_death: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._plan, self._on_death = store, plan, on_death
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name not in DRIVEN:
            return real

        async def call(*args: Any, **kwargs: Any) -> Any:
            number = len(self.calls)
            self.calls.append(name)
            fate = self._plan(name, number)
            if isinstance(fate, asyncio.Future):
                await fate
                fate = ""
            if fate == "before":
                raise StoreUnavailableError(f"cut off before {name}")
            if fate == "die":
                await self._die()
            result = await real(*args, **kwargs)
            if fate == "after":
                raise StoreUnavailableError(f"cut off after {name}")
            if fate == "die after":
                await self._die()
            return result

        return call

    async def _die(self) -> None:
        self._on_death()
        await asyncio.get_running_loop().create_future()
