"""`ActivityHandle`: an attempt of an activity that is ended from outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic, TypeVar, overload

import msgspec

from .._ids import WorkflowId
from .._log import ActivityBeat, ActivityEnded, ended_entry, message_entry, read_token
from ..author import Activity
from ..codec import Codec, failure_of
from ..errors import AttemptCancelledError, AttemptOverError, DefinitionError, InvalidTokenError, RunClosedError
from ..history import ActivityCancelled, ActivityCompleted, Event, to_raw
from ..stores import Entry, Store
from ._around import Around
from ._attempts import AttemptState, attempt_state
from ._line import Line

R_contra = TypeVar("R_contra", contravariant=True)


class ActivityHandle(Generic[R_contra]):
    """One attempt of an activity that returned `complete_later()`, or is about to. Made by `Client.activity` from its token.

    Works from any process with a client of the store. What is reported is durable on return, and a repeat of the same
    report returns as the first did. The first end counts: one that comes while another is on its way is dropped.

    Every method raises `AttemptOverError` if the attempt takes no more reports (it has ended, its time was up, a retry has
    followed, it was given up, its run is closed), `RunNotFoundError` if this store has no such run, `InvalidTokenError` if
    the token is of another activity than the one given, and `StoreUnavailableError` if the store stays out of reach.
    """

    def __init__(self, store: Store, codec: Codec, token: str, activity: Activity[..., Any] | None) -> None:
        if activity is not None and not isinstance(activity, Activity):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"activity: expected a function decorated with @activity, got {activity!r}")
        self._text, self._token, self._activity = token, read_token(token), activity
        self._line = Line(store, codec, WorkflowId(self._token.workflow_id), Around(()))

    @property
    def token(self) -> str:
        """What names the attempt."""
        return self._text

    @property
    def workflow_id(self) -> str:
        """The workflow id of the run that waits for it."""
        return self._token.workflow_id

    @property
    def run_id(self) -> str:
        """The run that waits for it."""
        return self._token.run_id

    @property
    def attempt(self) -> int:
        """Which try it is: 1, 2, 3 ..."""
        return self._token.attempt

    def __repr__(self) -> str:
        return f"<{self._token.what}>"

    @overload
    async def complete(self: ActivityHandle[None]) -> None: ...
    @overload
    async def complete(self, result: R_contra) -> None: ...
    async def complete(self, result: Any = None) -> None:
        """End the activity with `result`: the workflow's await returns it.

        With the activity given, `result` must be of its declared type; else it is any JSON value. Raises `EncodeError` or
        `PayloadTooLargeError` for what cannot be recorded.
        """
        codec, what = self._line.codec, f"the result of {self._token.what}"
        if self._activity is not None:
            payload = self._activity.signature.encode_result(codec, result, what=what)
        else:
            payload = codec.encode(result, Any, what=what)
        await self._end(self._ended(result=to_raw(payload)))

    async def fail(self, error: BaseException | str) -> None:
        """End the attempt with a failure, as if its code had raised `error` (a text stands for a `RuntimeError`).

        It is retried by the activity's policy, with a new attempt that has a token of its own; what was said last by
        `heartbeat` reaches that one. With the activity given, an error that it declares is not retried, and is raised as itself.
        """
        if isinstance(error, str):
            error = RuntimeError(error)
        if not isinstance(error, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"error: expected an exception or a text, got {error!r}")
        declared = self._activity.options.raises if self._activity is not None else ()
        failure = failure_of(error, self._line.codec, known=declared)
        if declared and isinstance(error, declared):
            failure = replace(failure, retryable=False)
        await self._end(self._ended(failure=failure.as_wire()))

    async def cancel(self) -> None:
        """Say that the work has stopped because it was cancelled, as `heartbeat` told: the workflow's wait ends by `CancelledError`.

        If the workflow has not cancelled it, the activity fails, and is not retried.
        """
        await self._end(self._ended(how="cancelled"))

    async def heartbeat(self, details: Any = None) -> None:
        """Say that the work goes on, and how far it is; learn whether it is still wanted.

        Resets the activity's `heartbeat_timeout`. `details` are recorded in the run's history, each time, and are what the
        next attempt reads by `activity_info().details()`; None keeps what was said before.

        Raises `AttemptCancelledError` if the workflow has cancelled the activity and waits for its end: stop, and call
        `cancel`. Raises `AttemptOverError` if nothing is to be reported any more: stop.
        """
        state = await self._wanted()
        said: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
        if details is not None:
            said = to_raw(self._line.codec.encode(details, Any, what="the heartbeat details"))
        if details is not None or (state.scheduled is not None and state.scheduled.heartbeat_timeout_ms is not None):
            token = self._token
            beat = ActivityBeat(run_id=token.run_id, id=token.id, attempt=token.attempt, details=said)
            await self._send(message_entry(f"beat/{self._line.clock.new_id()}", token.workflow_id, beat))
        if state.cancelled:
            raise AttemptCancelledError(f"{self._token.what} was cancelled: stop, and say so by `cancel()`")

    def _ended(self, **outcome: Any) -> ActivityEnded:
        token = self._token
        return ActivityEnded(run_id=token.run_id, id=token.id, attempt=token.attempt, by_token=True, **outcome)

    async def _end(self, ended: ActivityEnded) -> None:
        state = await attempt_state(self._line, self._token)
        self._check(state)
        if state.over:
            if _is_repeat(ended, state.end):
                return
            raise self._over(state.over)
        try:
            await self._send(ended_entry(self._token.workflow_id, ended))
        except AttemptOverError:
            if not _is_repeat(ended, (await attempt_state(self._line, self._token)).end):
                raise  # else an earlier try was applied, and its answer was lost

    async def _wanted(self) -> AttemptState:
        state = await attempt_state(self._line, self._token)
        self._check(state)
        if state.over:
            raise self._over(state.over)
        return state

    async def _send(self, entry: Entry) -> None:
        line = self._line
        try:
            await line.insist(lambda: line.store.send(line.partition, entry, id=self._token.run_id))
        except RunClosedError:
            raise self._over("its run is closed") from None

    def _check(self, state: AttemptState) -> None:
        if self._activity is not None and state.scheduled is not None:
            name = state.scheduled.activity
            if name != self._activity.name:
                raise InvalidTokenError(f"the token is of activity {name!r}, and not of {self._activity.name!r}")

    def _over(self, why: str) -> AttemptOverError:
        return AttemptOverError(f"{self._token.what} takes no more reports: {why}")


def _is_repeat(ended: ActivityEnded, end: Event | None) -> bool:
    """Return whether what the attempt ended with is what `ended` says."""
    if ended.how == "cancelled":
        return isinstance(end, ActivityCancelled)
    if ended.failure is None:
        return isinstance(end, ActivityCompleted) and bytes(end.result) == bytes(ended.result or b"")
    recorded = getattr(end, "failure", None)
    return recorded is not None and all(recorded.get(name) == ended.failure.get(name) for name in ("type", "message"))
