"""The interceptors of a worker, as the runtime calls them: one chain for each thing that a run does, made once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NoReturn

from .._headers import checked_headers, read_headers
from ..interceptors import (
    CallActivityInput,
    CancelExternalInput,
    ContinueAsNewInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    RunWorkflowInput,
    SignalExternalInput,
    StartChildInput,
    chained,
)
from . import guard

if TYPE_CHECKING:
    from ..history import CarriedSignal, SignalReceived, UpdateAccepted
    from .commands import ChildCommand
    from .options import ActivityCall, ChildCall
    from .run import Run

Headers = dict[str, str] | None
Within = Callable[[Callable[..., Any], tuple[Any, ...]], Awaitable[Any]]
"""Takes a handler and what it is called with."""

StartChild = Callable[["Run", "ChildCall", tuple[Any, ...], dict[str, Any], Headers], "ChildCommand"]
GoOn = Callable[[tuple[Any, ...], dict[str, Any], Headers], NoReturn]
Schedule = Callable[["Run", "ActivityCall", tuple[Any, ...], dict[str, Any], Headers], Awaitable[Any]]


class Around:
    """The chains of a worker's interceptors, each None where none of them is interested. See `Interceptor`."""

    __slots__ = (
        "call_activity", "cancel_external", "continue_as_new", "handle_query", "handle_signal", "handle_update", "run_workflow",
        "signal_external", "start_child",
    )  # fmt: skip

    def __init__(self, interceptors: Sequence[Interceptor]) -> None:
        self.run_workflow = chained(interceptors, "run_workflow", _run)
        self.handle_signal = chained(interceptors, "handle_signal", _handle)
        self.handle_update = chained(interceptors, "handle_update", _handle)
        self.handle_query = chained(interceptors, "handle_query", _answer)
        self.call_activity = chained(interceptors, "call_activity", _call)
        self.start_child = chained(interceptors, "start_child", _start_child)
        self.signal_external = chained(interceptors, "signal_external", _send)
        self.cancel_external = chained(interceptors, "cancel_external", _cancel)
        self.continue_as_new = chained(interceptors, "continue_as_new", _go_on)

    def run(
        self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any], headers: Headers
    ) -> Coroutine[Any, Any, Any]:
        """Return the workflow's code with `run_workflow` around it."""
        assert self.run_workflow is not None
        given = RunWorkflowInput(
            run=View(run), args=args, kwargs=kwargs, headers=read_headers(headers), _call=run.spec.fn
        )
        return _coroutine(self.run_workflow, given)

    def signalled(self, run: Run, signal: SignalReceived | CarriedSignal) -> Within | None:
        """Return what calls the handler of a signal, with `handle_signal` around it; None if that is nothing else."""
        if (chain := self.handle_signal) is None:
            return None

        def within(function: Callable[..., Any], args: tuple[Any, ...]) -> Awaitable[Any]:
            return chain(
                HandleSignalInput(
                    run=View(run), signal=signal.name, value=args[-1],
                    received_ms=getattr(signal, "at", run.started.at), headers=read_headers(signal.headers),
                    _call=partial(function, *args[:-1]),
                )
            )  # fmt: skip

        return within

    def updated(self, run: Run, event: UpdateAccepted) -> Within | None:
        """Return what calls the handler of an update, with `handle_update` around it; None if that is nothing else."""
        if (chain := self.handle_update) is None:
            return None

        def within(function: Callable[..., Any], args: tuple[Any, ...]) -> Awaitable[Any]:
            return chain(
                HandleUpdateInput(
                    run=View(run), update=event.name, update_id=event.update, value=args[-1], accepted_ms=event.at,
                    headers=read_headers(event.headers), _call=partial(function, *args[:-1]),
                )
            )  # fmt: skip

        return within

    def answer(
        self, run: Run, query: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the answer of a query's handler, with `handle_query` around it."""
        assert self.handle_query is not None
        return self.handle_query(
            HandleQueryInput(
                run=View(run), query=query, args=args, kwargs=kwargs, headers=read_headers(run.query_headers), _call=function
            )
        )  # fmt: skip

    def child(
        self, run: Run, call: ChildCall, start: StartChild, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ChildCommand:
        """Start a child by `start`, with `start_child` around it."""
        assert self.start_child is not None
        given = StartChildInput(
            run=View(run), workflow=call.name, workflow_id=call.id, queue=call.queue or run.queue, args=args, kwargs=kwargs,
            _call=(run, call, start),
        )  # fmt: skip
        started: ChildCommand = self.start_child(given)
        return started

    def call(
        self,
        run: Run,
        call: ActivityCall,
        schedule: Schedule,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_local: bool,
    ) -> Awaitable[Any]:
        """Call an activity by `schedule`, with `call_activity` around it."""
        assert self.call_activity is not None
        queue = "" if is_local else call.options.queue or run.queue
        return self.call_activity(
            CallActivityInput(
                run=View(run), activity=call.name, queue=queue, is_local=is_local, args=args, kwargs=kwargs,
                _call=(run, call, schedule),
            )
        )  # fmt: skip

    def send(
        self, run: Run, workflow_id: str, signal: str, value: Any, send: Callable[[Any, Headers], Awaitable[None]]
    ) -> Awaitable[None]:
        """Send a signal to another run by `send`, with `signal_external` around it."""
        assert self.signal_external is not None
        return self.signal_external(
            SignalExternalInput(run=View(run), workflow_id=workflow_id, signal=signal, value=value, _call=send)
        )

    def cancel(
        self, run: Run, workflow_id: str, reason: str, cancel: Callable[[str], Awaitable[None]]
    ) -> Awaitable[None]:
        """Ask another run to cancel by `cancel`, with `cancel_external` around it."""
        assert self.cancel_external is not None
        return self.cancel_external(
            CancelExternalInput(run=View(run), workflow_id=workflow_id, reason=reason, _call=cancel)
        )

    def go_on(
        self, run: Run, workflow: str, queue: str, args: tuple[Any, ...], kwargs: dict[str, Any], go_on: GoOn
    ) -> NoReturn:
        """Go on as a new run by `go_on`, with `continue_as_new` around it."""
        assert self.continue_as_new is not None
        self.continue_as_new(
            ContinueAsNewInput(
                run=View(run), workflow=workflow, queue=queue, args=args, kwargs=kwargs,
                headers=read_headers(run.started.headers), _call=go_on,
            )
        )  # fmt: skip


class View:
    """See `RunView`."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def workflow(self) -> str:
        """See `RunView`."""
        return self._run.spec.name

    @property
    def workflow_id(self) -> str:
        """See `RunView`."""
        return self._run.workflow_id

    @property
    def run_id(self) -> str:
        """See `RunView`."""
        return self._run.run_id

    @property
    def headers(self) -> Mapping[str, str]:
        """See `RunView`."""
        return read_headers(self._run.started.headers)

    @property
    def now_ms(self) -> int:
        """See `RunView`."""
        return self._run.now_ms

    @property
    def started_ms(self) -> int:
        """See `RunView`."""
        return self._run.started.at

    @property
    def replaying(self) -> bool:
        """See `RunView`."""
        return self._run.replaying or self._run.aborted is not None  # a step that is thrown away tells nothing either

    def unguarded(self) -> AbstractContextManager[None]:
        """See `RunView`."""
        return guard.allowed()


async def _coroutine(chain: Callable[[RunWorkflowInput], Awaitable[Any]], given: RunWorkflowInput) -> Any:
    return await chain(given)


async def _run(given: RunWorkflowInput) -> Any:
    return await given._call(*given.args, **given.kwargs)


async def _handle(given: HandleSignalInput | HandleUpdateInput) -> Any:
    result = given._call(given.value)
    return await result if isawaitable(result) else result


def _start_child(given: StartChildInput) -> Any:
    run, call, start = given._call
    return start(run, call, given.args, dict(given.kwargs), checked_headers(given.headers))


def _answer(given: HandleQueryInput) -> Any:
    return given._call(*given.args, **given.kwargs)


def _call(given: CallActivityInput) -> Awaitable[Any]:
    run, call, schedule = given._call
    result: Awaitable[Any] = schedule(run, call, given.args, dict(given.kwargs), checked_headers(given.headers))
    return result


def _send(given: SignalExternalInput) -> Awaitable[None]:
    sent: Awaitable[None] = given._call(given.value, checked_headers(given.headers))
    return sent


def _cancel(given: CancelExternalInput) -> Awaitable[None]:
    sent: Awaitable[None] = given._call(given.reason)
    return sent


def _go_on(given: ContinueAsNewInput) -> NoReturn:
    given._call(given.args, dict(given.kwargs), checked_headers(given.headers))
    raise AssertionError("the call above raises")
