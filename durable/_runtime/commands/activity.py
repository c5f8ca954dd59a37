"""The activity command: scheduled, perhaps retried, completed or failed or cancelled."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec

from ...codec import Failure, exception_of
from ...errors import ActivityError, ActivityTimeoutError
from ...history import (
    ActivityCancelled,
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityDeferred,
    ActivityFailed,
    ActivityHeartbeatRecorded,
    ActivityRetryScheduled,
    ActivityScheduled,
    Event,
    from_raw,
    to_raw,
)
from ._command import Command, CommandFuture, DeferringFuture

if TYPE_CHECKING:
    from ..options import ActivityCall
    from ..run import Run


class ActivityCommand(Command):
    """A scheduled activity. `attempt` is the one that runs, waits in its queue or waits for its retry; `attempts_before`
    were used up before the run was reopened, and do not count for the policy. The total time limit counts from `since_ms`.

    `retry_due_ms` is when that attempt is put on its queue, 0 for the first one. `deferred`: its code has ended, and left its
    end to others; `details` is what was said of it since, `heard_ms` when, as far as this process knows. `cancel_asked`: the
    code has cancelled it, and waits for its end; `abandoned`: it has, and it goes on without anybody.
    """

    __slots__ = (
        "abandoned", "attempt", "attempts_before", "call", "deferred", "details", "event", "future", "heard_ms",
        "retry_due_ms", "since_ms",
    )  # fmt: skip

    def __init__(self, run: Run, call: ActivityCall, event: ActivityScheduled) -> None:
        super().__init__(run, event.id)
        self.call, self.event = call, event
        self.attempt = 1
        self.attempts_before = 0
        self.since_ms = event.at
        self.retry_due_ms = self.heard_ms = 0
        self.deferred = self.abandoned = False
        self.details: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
        self.future: CommandFuture = DeferringFuture(self) if event.cancellation == "wait" else CommandFuture(self)

    @property
    def cancel_asked(self) -> bool:
        """Whether the code has cancelled it and waits for its end."""
        return isinstance(self.future, DeferringFuture) and self.future.cancel_asked

    def note(self, event: Event) -> None:
        """Take an event that the code does not see."""
        if isinstance(event, ActivityRetryScheduled):
            self.attempt, self.retry_due_ms = event.attempt + 1, event.due_ms
            self.deferred, self.details = False, msgspec.UNSET
        elif isinstance(event, ActivityDeferred):
            self.deferred, self.details = True, event.details
        elif isinstance(event, ActivityHeartbeatRecorded):
            self.details = event.details

    def release(self) -> None:
        del self.future

    def resolve(self, event: Event) -> None:
        future = self.future
        if type(event) is ActivityCompleted:
            del self.run.commands[self.id]
            if not future.done():
                call = self.call
                what = f"the result of activity {call.name}"
                future.set_result(call.signature.decode_result(self.run.codec, from_raw(event.result), what=what))
                future.release()
        elif type(event) is ActivityFailed:
            del self.run.commands[self.id]
            if not future.done():
                future.set_exception(_error(self.run, self.call, event))
                future.release()
        elif type(event) is ActivityCancelled:
            del self.run.commands[self.id]
            if isinstance(future, DeferringFuture):
                future.end_cancelled()
        else:
            super().resolve(event)

    def cancel(self) -> None:
        run = self.run
        if run.closing or self.id not in run.commands:
            return
        waits = self.event.cancellation == "wait"
        if not run.matcher.replaying:
            run.emit(ActivityCancelRequested(at=run.now_ms, id=self.id))
            if not waits:
                self.abandoned = self.event.cancellation == "abandon"
                run.given_up.append(self)
        elif run.matcher.take(ActivityCancelRequested, self.id) is None:
            run.diverge(f"cancellation of activity {self.call.name!r} (#{self.id})")
        if not waits:
            del run.commands[self.id]


def schedule_activity(run: Run, call: ActivityCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
    """Record the command and return the future of its result, or what the interceptors make of it.

    Raises `EncodeError` or `PayloadTooLargeError` for arguments that cannot go into the history; nothing is recorded then.
    """
    around = run.around
    if around is None or around.call_activity is None:
        return _schedule(run, call, args, kwargs, None)
    return around.call(run, call, _schedule, args, kwargs, is_local=False)


def _schedule(
    run: Run, call: ActivityCall, args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str] | None
) -> CommandFuture:
    id = run.next_command_id()  # noqa: A001 - the field's name
    matcher = run.matcher
    if matcher.replaying:
        event = matcher.take(ActivityScheduled, id)
        if event is None or event.activity != call.name:
            # The call may have failed to encode at the time, and so have left no event: then it fails now as it did then.
            call.signature.encode_call(run.codec, args, kwargs, what=f"activity {call.name}")
            run.diverge(f"activity {call.name!r} (#{id})", recorded=event)
        if matcher.observe is not None:
            matcher.observe(event, lambda: call.signature.encode_call(run.codec, args, kwargs, what=call.name))
        return ActivityCommand(run, call, event).future
    run.check_may_command(call.what)
    payload = call.signature.encode_call(run.codec, args, kwargs, what=call.what)
    options = call.options
    event = ActivityScheduled(
        at=run.now_ms,
        id=id,
        activity=call.name,
        queue=options.queue or run.queue,
        args=to_raw(payload),
        retry=options.retry_wire,
        timeout_ms=options.timeout_ms,
        total_timeout_ms=options.total_timeout_ms,
        queue_timeout_ms=options.queue_timeout_ms,
        heartbeat_timeout_ms=options.heartbeat_timeout_ms,
        headers=headers,
        cancellation=options.cancellation or "try",
    )
    run.emit(event)
    return ActivityCommand(run, call, event).future


def _error(run: Run, call: ActivityCall, event: ActivityFailed) -> BaseException:
    """Return what the workflow's await raises: a declared error as itself, anything else as `ActivityError`."""
    failure = Failure.from_wire(event.failure)
    cause = exception_of(failure, call.options.raises, run.codec)
    if call.options.raises and isinstance(cause, call.options.raises):
        return cause
    kind: type[ActivityError] = ActivityTimeoutError if event.timeout else ActivityError
    error = kind(
        f"activity {call.name!r} failed at attempt {event.attempt}: {failure.short_type}: {failure.message}",
        activity=call.name,
        attempt=event.attempt,
    )
    if isinstance(error, ActivityTimeoutError):
        error.kind = event.timeout
    error.__cause__ = cause
    return error
