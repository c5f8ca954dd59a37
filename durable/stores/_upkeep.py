"""What a store may offer beside its promises: findings of its own for `durable doctor`, and giving space back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from ._protocol import Store

Level = Literal["ok", "note", "warning", "problem"]
"""How bad a finding is: as it should be, good to know, worth a look, or in the way of runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at. `check` names what (`"disk"`), `what` says how it is, `advice` what to do about it."""

    level: Level
    check: str
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """How many bytes a store takes on disk, `before` and `after` it gave back what it does not need."""

    before: int
    after: int


async def checks_of(store: Store) -> list[Finding]:
    """Return what the store finds about itself: the answer of `store.inspect.checks()`, or nothing if it has no such method."""
    checks: Callable[[], Awaitable[list[Finding]]] | None = getattr(store.inspect, "checks", None)
    return [] if checks is None else await checks()


async def compact(store: Store) -> Space | None:
    """Let the store give back what it does not need any more: `store.inspect.compact()`; None if it has no such method."""
    method = cast("Any", getattr(store.inspect, "compact", None))
    return None if method is None else cast("Space", await method())
