"""The world outside, as the activities of random programs see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar


class Outside:
    """What activities do to the world, and ask of it. As it is, nobody is there; whoever runs a worker may set another one."""

    async def note(self, key: str, n: int) -> None:
        """An attempt has its effect: the idempotency key of its activity, and the number."""

    async def hand(self, token: str, n: int, patient: bool) -> None:
        """Somebody else is to end the attempt of this token, with three times the number; `patient`: it must not fail."""

    def is_mended(self, workflow_id: str) -> bool:
        """Return whether what was broken for the runs of `workflow_id` works by now."""
        return True


class Noting(Outside):
    """A world where effects are noted, and nothing else."""

    def __init__(self, effect: Callable[[str, int], Awaitable[None]]) -> None:
        self._effect = effect

    async def note(self, key: str, n: int) -> None:
        """See `Outside`."""
        await self._effect(key, n)


_NOBODY = Outside()
_OUTSIDE: ContextVar[Outside | None] = ContextVar("durable_outside_of_random_programs", default=None)


def reach(world: Outside) -> None:
    """From here on, the activities that this context runs reach `world`."""
    _OUTSIDE.set(world)


def outside() -> Outside:
    """Return the world that this context's activities reach."""
    return _OUTSIDE.get() or _NOBODY
