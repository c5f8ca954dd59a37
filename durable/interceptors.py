# ruff: noqa: A002 - `input` and `next` are what everyone calls these two
"""Interceptors: code around what a client, a workflow and an activity do, with headers that travel between them.

An interceptor overrides the methods of `Interceptor` that it is interested in. Each takes what is about to happen, a frozen
input, and `next`, which does it: with the same input, or with one made by `dataclasses.replace`. What may be replaced are
the arguments, values, reasons and headers; the other fields say what it is about, and changing them changes nothing.

Headers are short texts by name. What the outside sets at `start`, `signal` or `update` is recorded with the event, reaches the
workflow, and what the workflow's side sets for an activity reaches that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol, TypeVar

from ._headers import NO_HEADERS

I = TypeVar("I")  # noqa: E741 - an input
R = TypeVar("R")


def _no_headers() -> Mapping[str, str]:
    return NO_HEADERS


class RunView(Protocol):
    """The run that an interceptor's workflow side works in. All of it is the same on each replay, but for `replaying`.

    `now_ms` and `started_ms` are the time of the current step and of the run's start, in ms since the epoch.
    """

    @property
    def workflow(self) -> str: ...
    @property
    def workflow_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def started_ms(self) -> int: ...
    @property
    def replaying(self) -> bool:
        """Whether this happened before: then nothing may be told to the outside, and nothing may be decided by it."""
        ...

    def unguarded(self) -> AbstractContextManager[None]:
        """Lift the guard against I/O within a block: for what only observes, and only where `replaying` is false."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInput:
    """A client starts a run. `args` and `kwargs` are the call's, not encoded yet."""

    workflow: str
    workflow_id: str
    queue: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalInput:
    """A client sends a signal. `run_id` is None where the open run is meant, whichever that is."""

    workflow_id: str
    run_id: str | None
    signal: str
    value: Any
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryInput:
    """A client asks a run."""

    workflow_id: str
    run_id: str | None
    query: str
    args: tuple[Any, ...]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateInput:
    """A client sends an update."""

    workflow_id: str
    run_id: str | None
    update: str
    update_id: str
    value: Any
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelInput:
    """A client asks a run to cancel."""

    workflow_id: str
    run_id: str | None
    reason: str
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateInput:
    """A client ends a run."""

    workflow_id: str
    run_id: str | None
    reason: str
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWorkflowInput:
    """A run's code begins; `headers` are those of its start."""

    run: RunView
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleSignalInput:
    """A signal is handed to its handler; `received_ms` is when it arrived, in ms since the epoch; for one
    that the run began with, the time of its start.
    """

    run: RunView
    signal: str
    value: Any
    received_ms: int
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleQueryInput:
    """A query is handed to its handler."""

    run: RunView
    query: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleUpdateInput:
    """An update that was accepted is handed to its handler; `accepted_ms` is when, in ms since the epoch."""

    run: RunView
    update: str
    update_id: str
    value: Any
    accepted_ms: int
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActivityInput:
    """Workflow code calls an activity. `is_local`: by `local`, in the engine's process; then `queue` is empty."""

    run: RunView
    activity: str
    queue: str
    is_local: bool
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChildInput:
    """Workflow code starts a child. `workflow_id` is None if it was given none."""

    run: RunView
    workflow: str
    workflow_id: str | None
    queue: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalExternalInput:
    """Workflow code sends a signal to another run, a child among them."""

    run: RunView
    workflow_id: str
    signal: str
    value: Any
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelExternalInput:
    """Workflow code asks another run, by its workflow id, to cancel."""

    run: RunView
    workflow_id: str
    reason: str
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAsNewInput:
    """Workflow code goes on as a new run of `workflow`. `headers` are those of the run: the new one begins with what is left of them."""

    run: RunView
    workflow: str
    queue: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunActivityInput:
    """A worker runs an attempt of an activity; `durable.activity_info()` knows the rest of it."""

    activity: str
    workflow: str
    workflow_id: str
    run_id: str
    attempt: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    _call: Any = field(default=None, repr=False, compare=False)


class Interceptor:
    """Code around the calls of clients, workflows and activities: subclass it, and override what is of interest.

    Hand it to `Client.connect(..., interceptors=[...])`, whose workers then use it as well, or to
    `Worker(..., interceptors=[...])`. The first one of a list is the outermost. What is not overridden costs nothing.

    An exception is the caller's on the client's side, the activity's failure around an activity, and in workflow code it is
    raised where the intercepted call was made: it fails the run unless the code catches it.

    The methods of the workflow's side (`run_workflow`, `handle_signal`, `handle_update`, `call_activity`, `start_child`,
    `signal_external`, `cancel_external`, `continue_as_new`; and `handle_query`, for each query) run again on each replay, and
    must be as deterministic as workflow code: what they await and call is recorded. What only observes asks `input.run.replaying` first.
    """

    # --- the client's side

    async def start(self, input: StartInput, next: Callable[[StartInput], Awaitable[Any]]) -> Any:
        """Around `client.start` and `execute`; `next` returns the handle."""
        return await next(input)

    async def signal(self, input: SignalInput, next: Callable[[SignalInput], Awaitable[None]]) -> None:
        """Around `handle.signal`, and around `start_with_signal` within `start`, whose headers it gets: its own are the signal's."""
        await next(input)

    async def query(self, input: QueryInput, next: Callable[[QueryInput], Awaitable[Any]]) -> Any:
        """Around `handle.query`; `next` returns the answer."""
        return await next(input)

    async def update(self, input: UpdateInput, next: Callable[[UpdateInput], Awaitable[Any]]) -> Any:
        """Around `handle.update`, `start_update` and `start_with_update`, until the update is accepted.

        Return what `next` returns: it is how the update is found again.
        """
        return await next(input)

    async def cancel(self, input: CancelInput, next: Callable[[CancelInput], Awaitable[None]]) -> None:
        """Around `handle.cancel`."""
        await next(input)

    async def terminate(
        self,
        input: TerminateInput,
        next: Callable[[TerminateInput], Awaitable[None]],
    ) -> None:
        """Around `handle.terminate`."""
        await next(input)

    # --- the workflow's side

    async def run_workflow(
        self,
        input: RunWorkflowInput,
        next: Callable[[RunWorkflowInput], Awaitable[Any]],
    ) -> Any:
        """Around a run's code, from its start to its end; `next` returns what the workflow returns."""
        return await next(input)

    async def handle_signal(
        self,
        input: HandleSignalInput,
        next: Callable[[HandleSignalInput], Awaitable[None]],
    ) -> None:
        """Around a signal's handler. A signal that the code takes by `receive` has none, and does not come here."""
        await next(input)

    async def handle_update(self, input: HandleUpdateInput, next: Callable[[HandleUpdateInput], Awaitable[Any]]) -> Any:
        """Around an update's handler, once it is accepted; `next` returns what the handler returns. Not around its validator."""
        return await next(input)

    def handle_query(self, input: HandleQueryInput, next: Callable[[HandleQueryInput], Any]) -> Any:
        """Around a query's handler, which may only read; `next` returns the answer."""
        return next(input)

    def call_activity(
        self,
        input: CallActivityInput,
        next: Callable[[CallActivityInput], Awaitable[Any]],
    ) -> Awaitable[Any]:
        """Around the call of an activity: `next` records it at once, and returns what can be awaited for its result."""
        return next(input)

    def start_child(self, input: StartChildInput, next: Callable[[StartChildInput], Any]) -> Any:
        """Around the start of a child: `next` records it at once. Return what it returns: it is how the child is known."""
        return next(input)

    def signal_external(
        self,
        input: SignalExternalInput,
        next: Callable[[SignalExternalInput], Awaitable[None]],
    ) -> Awaitable[None]:
        """Around `external(...).signal` and that of a child: `next` records it at once, and returns what can be awaited for its delivery."""
        return next(input)

    def cancel_external(
        self, input: CancelExternalInput, next: Callable[[CancelExternalInput], Awaitable[None]]
    ) -> Awaitable[None]:
        """Around `external(...).cancel` and that of a child: `next` records it at once, and returns what can be awaited for its delivery."""
        return next(input)

    def continue_as_new(self, input: ContinueAsNewInput, next: Callable[[ContinueAsNewInput], NoReturn]) -> NoReturn:
        """Around `continue_as_new`, where the code calls it. `next` never returns: it raises what ends the run, and so must this."""
        next(input)

    # --- the activity's side

    async def run_activity(
        self,
        input: RunActivityInput,
        next: Callable[[RunActivityInput], Awaitable[Any]],
    ) -> Any:
        """Around an attempt of an activity, local ones too; `next` runs it and returns what it returns.

        Runs on the worker's event loop, wherever the activity itself runs; the attempt's time limits hold for both together.
        """
        return await next(input)


def chained(interceptors: Sequence[Interceptor], method: str, innermost: Callable[[I], R]) -> Callable[[I], R] | None:
    """Return `innermost` with `method` of each interceptor around it, the first one outermost; None if none overrides it."""
    call: Callable[[I], R] | None = None
    for interceptor in reversed(interceptors):
        if getattr(type(interceptor), method) is not getattr(Interceptor, method):
            call = _linked(getattr(interceptor, method), call or innermost)
    return call


def _linked(around: Callable[[I, Callable[[I], R]], R], inner: Callable[[I], R]) -> Callable[[I], R]:
    return lambda given: around(given, inner)


def with_headers(given: I, headers: Mapping[str, str]) -> I:
    """Return the input `given` with these headers added to its own, in whose place they come."""
    item: Any = given
    changed: I = replace(item, headers={**item.headers, **headers})
    return changed


def checked_interceptors(interceptors: Sequence[Any]) -> tuple[Interceptor, ...]:
    """Return them as a tuple. Raises `TypeError` for what is no instance of an `Interceptor`."""
    for item in interceptors:
        if not isinstance(item, Interceptor):
            hint = f"; write {item.__name__}()" if isinstance(item, type) else ""
            raise TypeError(f"interceptors: expected instances of durable.Interceptor, got {item!r}{hint}")
    return tuple(interceptors)
