"""`ActivityEnvironment`: runs one activity by itself, as a worker would."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, cast

import msgspec

from .._duration import Duration, seconds
from .._headers import checked_headers, read_headers
from .._ids import DEFAULT_QUEUE
from ..author import Activity, ActivityInfo
from ..author._activity_context import ActivityContext, CompleteLater
from ..codec import Codec, default_codec
from ..errors import DefinitionError
from ..history import from_raw, to_raw

P = ParamSpec("P")
R = TypeVar("R")

_WHEN = datetime(2024, 1, 1, tzinfo=UTC)


class ActivityEnvironment:
    """Runs activities without a workflow or a worker: `await ActivityEnvironment(attempt=2).run(copy, "a.txt")`.

    What is given here is what the activity finds in `activity_info()`; `details` is what an earlier attempt said by
    `heartbeat`. What it says itself is in `heartbeats`, and `on_heartbeat` is called with it, in the thread of the activity;
    there a test may call `cancel`. Limits are told, not enforced: `cancel` is what would follow. One environment runs one
    activity at a time, and any number one after the other.
    """

    def __init__(
        self,
        *,
        attempt: int = 1,
        delivery: int = 1,
        details: Any = None,
        workflow: str = "test",
        workflow_id: str = "test",
        run_id: str = "test-run",
        queue: str = DEFAULT_QUEUE,
        idempotency_key: str = "test-run/1",
        token: str = "test-token",  # noqa: S107 - it names an attempt, and is no secret
        scheduled_at: datetime = _WHEN,
        started_at: datetime | None = None,
        timeout: Duration | None = None,
        heartbeat_timeout: Duration | None = None,
        codec: Codec | None = None,
        on_heartbeat: Callable[[Any], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.attempt, self.delivery, self.details = attempt, delivery, details
        self.workflow, self.workflow_id, self.run_id, self.queue = workflow, workflow_id, run_id, queue
        self.idempotency_key, self.token = idempotency_key, token
        self.scheduled_at, self.started_at = scheduled_at, scheduled_at if started_at is None else started_at
        self.timeout, self.heartbeat_timeout = (
            _limit(timeout, "timeout"),
            _limit(heartbeat_timeout, "heartbeat_timeout"),
        )
        self.codec = default_codec() if codec is None else codec
        self.on_heartbeat = on_heartbeat
        self.headers = read_headers(checked_headers(headers))
        self.heartbeats: list[Any] = []
        self._cancelled = False
        self._context: _Unit | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, activity: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `activity` and return its result: at once that of a `def`, an awaitable of it for an `async def`.

        A `def` runs in the calling thread. Arguments and result must be such that they could be stored, and the arguments
        come in as they would be read again. Raises what the activity raises, `InvalidCallError` or `EncodeError` for
        arguments that do not fit, and `EncodeError` for such a result.
        """
        if not isinstance(activity, Activity):
            raise DefinitionError(f"expected a function decorated with @activity, got {activity!r}")
        known = cast("Activity[..., Any]", activity)
        if known._skip_self:
            raise DefinitionError(f"{known!r} is a method: pass that of an instance, such as shop.charge")
        given, named = self._as_read(known, args, kwargs)
        if inspect.iscoroutinefunction(known.fn):
            return cast(R, self._run_async(known, given, named))
        return cast(R, copy_context().run(self._run_sync, known, given, named))

    def cancel(self) -> None:
        """Tell the running activity, or else the next one, that its result is no longer wanted. Callable from any thread.

        `asyncio.CancelledError` is raised at the await of an `async def`, and by the next `heartbeat` of any; it comes out of `run`
        unless the activity takes it.
        """
        self._cancelled = True
        if self._context is not None:
            self._context.cancelled = True
        task, loop = self._task, self._loop
        if task is not None and loop is not None:
            loop.call_soon_threadsafe(task.cancel)

    def _as_read(
        self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        what = f"activity {activity.name}"
        payload = activity.signature.encode_call(self.codec, args, kwargs, what=what)
        return activity.signature.decode_call(self.codec, payload, what=what)

    def _enter(self, activity: Activity[..., Any]) -> None:
        self._context = _Unit(self, activity)
        self._context.cancelled = self._cancelled
        self._context.enter()

    def _checked(self, activity: Activity[..., Any], value: Any) -> Any:
        if not isinstance(value, CompleteLater):
            activity.signature.encode_result(self.codec, value, what=f"the result of activity {activity.name}")
        return value

    def _run_sync(self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._enter(activity)
        try:
            return self._checked(activity, activity.fn(*args, **kwargs))
        finally:
            self._over()

    async def _run_async(self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def work() -> Any:
            self._enter(activity)
            return self._checked(activity, await activity.fn(*args, **kwargs))

        self._loop = asyncio.get_running_loop()
        coroutine: Coroutine[Any, Any, Any] = work()
        self._task = self._loop.create_task(coroutine)
        if self._cancelled:
            self._task.cancel()
        try:
            return await self._task
        finally:
            if not self._task.done():  # the test itself was cancelled
                self._task.cancel()
            self._over()

    def _over(self) -> None:
        self._context = self._task = self._loop = None
        self._cancelled = False


class _Unit(ActivityContext):
    """The attempt that an environment runs."""

    __slots__ = ("_activity", "_environment")

    def __init__(self, environment: ActivityEnvironment, activity: Activity[..., Any]) -> None:
        details = environment.details
        codec = environment.codec
        previous: msgspec.Raw | None = None
        if details is not None:
            previous = to_raw(codec.encode(details, Any, what="the details of an earlier attempt"))
        super().__init__(codec, previous)
        self._environment, self._activity = environment, activity

    def describe(self) -> ActivityInfo:
        """See `ActivityContext`."""
        environment, options = self._environment, self._activity.options
        return ActivityInfo(
            activity=self._activity.name,
            workflow=environment.workflow,
            workflow_id=environment.workflow_id,
            run_id=environment.run_id,
            queue=environment.queue,
            attempt=environment.attempt,
            delivery=environment.delivery,
            scheduled_at=environment.scheduled_at,
            started_at=environment.started_at,
            timeout=environment.timeout or _told(options.timeout_ms),
            heartbeat_timeout=environment.heartbeat_timeout or _told(options.heartbeat_timeout_ms),
            idempotency_key=environment.idempotency_key,
            headers=environment.headers,
            token=environment.token,
            _context=self,
        )

    def beat(self) -> None:
        """See `ActivityContext`."""
        said = None if self.said is None else self.codec.decode(from_raw(self.said), Any, what="the heartbeat details")
        self._environment.heartbeats.append(said)
        if self._environment.on_heartbeat is not None:
            self._environment.on_heartbeat(said)


def _limit(value: Duration | None, what: str) -> timedelta | None:
    return None if value is None else timedelta(seconds=seconds(value, what=what))


def _told(ms: int | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)
