"""Time, chance and ids for workflow code: recorded or seeded, so that each replay finds the same."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar, get_type_hints

from .._clock import SystemClock
from .._duration import Duration, seconds
from .._ids import checked_name
from .._runtime.commands import is_patched, mark_deprecated, record_side_effect
from .._runtime.context import current_run, require_run
from .._runtime.entropy import run_uuid4

T = TypeVar("T")


async def sleep(duration: Duration) -> None:
    """Wait for `duration`, to the millisecond: a durable timer, which survives any crash. Outside a workflow: `asyncio.sleep`.

    Raises `ValueError` for a negative duration or one that cannot be read.
    """
    await asyncio.sleep(seconds(duration))


def now() -> datetime:
    """Return the time of the current step (UTC, to the millisecond): it moves only when something happens to the run.

    The same on each replay. Outside a workflow: the machine's time.
    """
    run = current_run()
    return datetime.fromtimestamp((run.now_ms if run is not None else SystemClock().now_ms()) / 1000, UTC)


def random() -> Random:
    """Return the run's random numbers: a `random.Random`, the same on each replay and in every Python version."""
    return require_run("random").random()


def uuid4() -> uuid.UUID:
    """Return a new UUID that is the same on each replay."""
    return run_uuid4(require_run("uuid4").random())


async def wait_condition(predicate: Callable[[], Any], *, timeout: Duration | None = None) -> None:
    """Wait until `predicate()` is true. It is tried whenever the code has come to rest, and must only read the run's state.

    Raises `TimeoutError` after `timeout` (a durable timer), or what `predicate` raises.
    """
    run = require_run("wait_condition")
    if run.holds(predicate):
        return
    if timeout is None:
        await run.conditions.wait(predicate)
        return
    async with asyncio.timeout(seconds(timeout, what="timeout")):
        await run.conditions.wait(predicate)


def side_effect(function: Callable[[], T]) -> T:
    """Run `function` once, record its value, and return that value on each replay. For quick local reads, not for I/O that can fail.

    Its value must be encodable; it comes back as the type that `function` declares. What it raises is recorded as well.
    """
    run = require_run("side_effect")
    try:
        hint = get_type_hints(function).get("return", Any)
    except (NameError, TypeError):
        hint = Any
    value: T = record_side_effect(run, function, hint)
    return value


def patched(name: str) -> bool:
    """Return whether this run takes the new way at a change of the code called `name`.

    Write `if patched("name"): new() else: old()`. New runs, and open ones that have not yet passed this point, go the new
    way, and on; runs that passed it before the change go the old way. The same on each replay. See `deprecate_patch` for
    what comes next.
    """
    return is_patched(require_run("patched"), checked_name(name, "patch name"))


def deprecate_patch(name: str) -> None:
    """Say that the code knows the change `name` in the new way only: the second step in the life of a patch.

    1. `if patched("name"): new() else: old()`, while runs may be open that passed this point before the change.
    2. `deprecate_patch("name"); new()`, once no such run is open: runs that recorded the patch still replay.
    3. Neither, once no run is open that recorded it by `patched`; `durable patches` tells when.

    Recorded once where it is met first, with a mark that replays need not ask for. On replay the record of either call is
    accepted, and so is its absence.
    """
    mark_deprecated(require_run("deprecate_patch"), checked_name(name, "patch name"))
