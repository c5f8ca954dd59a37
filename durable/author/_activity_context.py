"""What a running activity knows of itself, how it says that it is alive, and how it leaves its end to others."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Never, TypeVar, cast, overload

import msgspec

from .._runtime.context import current_run
from ..codec import Codec
from ..errors import InvalidCallError
from ..history import from_raw, to_raw

T = TypeVar("T")


class ActivityContext(ABC):
    """One attempt of an activity while it runs. Whoever runs the attempt subclasses it and makes it current with `enter`.

    `said` is what the code last said by `heartbeat`, `previous` what an earlier attempt or delivery had said. `cancelled`
    may be set from any thread.
    """

    __slots__ = ("_info", "cancelled", "codec", "previous", "said")
    can_defer = True  # whether its end may be left to others

    def __init__(self, codec: Codec, previous: msgspec.Raw | None) -> None:
        self.codec = codec
        self.previous = previous
        self.said: msgspec.Raw | None = None
        self.cancelled = False
        self._info: ActivityInfo | None = None

    @abstractmethod
    def describe(self) -> ActivityInfo:
        """Return what the code may know of its attempt. Called once at most, when the code asks."""

    @abstractmethod
    def beat(self) -> None:
        """The code said that it is alive; `said` is up to date. Called in whatever thread the code runs."""

    @property
    def info(self) -> ActivityInfo:
        """What the code may know of its attempt."""
        if self._info is None:
            self._info = self.describe()
        return self._info

    def enter(self) -> None:
        """Make this the attempt of the calling context, and of the tasks and threads that inherit from it."""
        _CONTEXT.set(self)


_CONTEXT: ContextVar[ActivityContext] = ContextVar("durable_activity")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityInfo:
    """An attempt of an activity as its own code sees it.

    `attempt` counts from 1 and grows with each retry; `delivery` counts how often a worker took up this attempt: more than
    1 means that an earlier worker vanished with it. `idempotency_key` is the same for all attempts and deliveries, and for
    no other activity: hand it to the outside world, so that an effect happens once. `timeout` and `heartbeat_timeout` are
    None where there is no limit. `token` names this attempt for `client.activity(token)`, from any process: hand it to
    whoever is to end the activity after it has returned `complete_later()`. It is a short text, and no secret.
    `headers` are those that interceptors gave the call.
    """

    activity: str
    workflow: str
    workflow_id: str
    run_id: str
    queue: str
    attempt: int
    delivery: int
    scheduled_at: datetime
    started_at: datetime
    timeout: timedelta | None
    heartbeat_timeout: timedelta | None
    idempotency_key: str
    headers: Mapping[str, str]
    token: str
    _context: ActivityContext = field(repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer wanted: the code should stop. `heartbeat` raises then."""
        return self._context.cancelled

    @overload
    def details(self) -> Any: ...
    @overload
    def details(self, type: type[T]) -> T | None: ...
    def details(self, type: Any = Any) -> Any:  # noqa: A002 - the word for it everywhere
        """Return what an earlier attempt or delivery last said by `heartbeat`, or None if none said anything.

        Raises `DecodeError` if that does not fit `type`.
        """
        raw = self._context.previous
        if raw is None:
            return None
        return self._context.codec.decode(
            from_raw(raw), type, what=f"the heartbeat details of activity {self.activity}"
        )


def activity_info() -> ActivityInfo:
    """Return what the running activity knows of itself. Raises `InvalidCallError` outside of an activity that a worker runs."""
    context = _CONTEXT.get(None)
    if context is None or current_run() is not None:
        raise InvalidCallError("activity_info works only in an activity, while a worker runs it")
    return context.info


class CompleteLater:
    """What an activity returns to leave its end to others. Made by `complete_later`."""

    def __repr__(self) -> str:
        return "complete_later()"


_LATER = CompleteLater()


def complete_later() -> Never:
    """Return what an activity returns if it is not done yet, and somebody else will say so: `return complete_later()`.

    The attempt goes on without its worker, whose slot is free. Whoever has its token (`activity_info().token`) ends it by
    `client.activity(token)`: with `complete`, `fail` or `cancel`. That may happen before this returns. The time limits of the
    attempt still hold: give the activity a `timeout`, or it waits for ever for a token that was lost. A failure is retried by
    the policy, with a new attempt that has a token of its own.

    Raises `InvalidCallError` in workflow code and in a local activity, which ends within the step that called it.
    """
    if current_run() is not None:
        raise InvalidCallError("complete_later works only in an activity, not in workflow code")
    context = _CONTEXT.get(None)
    if context is not None and not context.can_defer:
        raise InvalidCallError(
            f"complete_later: {context.info.activity!r} was called as a local activity, which must end within its step; "
            "call it without `local` to have it completed later"
        )
    return cast(Never, _LATER)  # type: ignore[misc]  # it does return: `Never` is what fits any declared result


def heartbeat(details: Any = None) -> None:
    """Say that the running activity is alive, and how far it is. Never blocks; callable from any thread of the activity.

    `details` is what the next attempt reads by `activity_info().details()`; None keeps what was said before. The first
    details go to the store at once, later ones at least every second; the last ones are kept however the attempt ends.

    Raises `asyncio.CancelledError` if the result is no longer wanted (the activity was cancelled, its time is up, or the
    worker stops): let it pass, after cleaning up. Raises `EncodeError` or `PayloadTooLargeError` for details that cannot be
    written. Does nothing in a plain call outside of a worker, so that an activity can be tested as the function it is.
    """
    context = _CONTEXT.get(None)
    if current_run() is not None:
        raise InvalidCallError("heartbeat works only in an activity, not in workflow code")
    if context is None:
        return
    if context.cancelled:
        raise asyncio.CancelledError(f"the result of activity {context.info.activity!r} is no longer wanted")
    if details is not None:
        context.said = to_raw(context.codec.encode(details, Any, what="the heartbeat details"))
    context.beat()
