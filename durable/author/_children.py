"""Child workflows: runs that a run starts, waits for, and takes along when it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from copy import copy
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_args, overload

from .._duration import Duration, optional_ms
from .._ids import checked_choice, checked_name, checked_queue, checked_version, checked_workflow_id
from .._runtime.commands import ChildCommand, start_child_command
from .._runtime.context import require_run
from .._runtime.options import CallSignature, ChildCall
from ..codec import untyped_signature
from ..errors import DefinitionError, InvalidCallError
from ..history import Cancellation, ParentClose
from ._activity import Activity
from ._attributes import Attribute, attributes_at_start
from ._definitions import describe
from ._external import send_to
from ._memo import stored_memo
from ._signals import Signal
from ._workflow import Workflow, is_workflow

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
_NOTHING: Any = None


class ChildHandle(Generic[R_co]):
    """A child that has been started, as the workflow code that started it sees it. Awaiting the handle awaits its result."""

    def __init__(self, command: ChildCommand) -> None:
        self._command = command

    @property
    def workflow_id(self) -> str:
        """The child's workflow id."""
        return self._command.event.workflow_id

    @property
    def run_id(self) -> str:
        """The id of the child's run; of the first one, if it continued as new."""
        return self._command.child_run

    async def result(self) -> R_co:
        """Wait until the child has ended, and return what it returned.

        Raises `ChildWorkflowError` if it failed (`__cause__` is its exception: of its own class if that is built in or in the
        child's `raises`) or was cancelled, terminated or timed out (then `__cause__` says so). Cancelling this wait does what
        the option `cancellation` says. May be awaited any number of times. On replay the outcome comes from the history.
        """
        value: R_co = await self._command.ended()
        return value

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.result().__await__()

    async def signal(self, signal: Signal[T], value: T = _NOTHING) -> None:
        """Send `signal` to the child; returns once it is in the child's inbox. Sent once, whatever crashes; never on replay.

        Raises `RunClosedError` if the child has ended, `EncodeError` if the value does not fit. If the child has continued as
        new, its present run gets the signal; a stranger's run of the same workflow id never does.
        """
        await send_to(require_run("ChildHandle.signal"), self.workflow_id, signal, value, child=self._command.id)

    async def cancel(self, reason: str = "") -> None:
        """Ask the child to cancel; returns once the request is recorded, and does not wait for the child's end.

        A child is asked once: a second request does nothing, nor does one to a child that has ended.
        """
        run = require_run("ChildHandle.cancel")
        run.check_may_command("the cancellation of a child")
        if run.around is None or run.around.cancel_external is None:
            self._command.request_cancel(reason)
        else:
            await run.around.cancel(run, self.workflow_id, reason, self._request_cancel)

    def _request_cancel(self, reason: str) -> Awaitable[None]:
        """Record the request; there is nothing to wait for."""
        self._command.request_cancel(reason)
        recorded = asyncio.get_running_loop().create_future()
        recorded.set_result(None)
        return recorded

    def __repr__(self) -> str:
        return f"<child {self._command.call.name} {self.workflow_id!r} (run {self.run_id})>"


@overload
def start_child(
    target: Workflow[P, R],
    *,
    id: str | None = None,
    queue: str | None = None,
    parent_close: ParentClose = "terminate",
    cancellation: Cancellation = "wait",
    run_timeout: Duration | None = None,
    execution_timeout: Duration | None = None,
    attributes: Mapping[Attribute[Any], Any] | None = None,
    memo: Mapping[str, Any] | None = None,
) -> Callable[P, Awaitable[ChildHandle[R]]]: ...
@overload
def start_child(
    target: str,
    *,
    returns: Any = Any,
    id: str | None = None,
    queue: str | None = None,
    parent_close: ParentClose = "terminate",
    cancellation: Cancellation = "wait",
    run_timeout: Duration | None = None,
    execution_timeout: Duration | None = None,
    attributes: Mapping[Attribute[Any], Any] | None = None,
    memo: Mapping[str, Any] | None = None,
    version: str | None = None,
) -> Callable[..., Awaitable[ChildHandle[Any]]]: ...
def start_child(
    target: Any,
    *,
    returns: Any = Any,
    id: str | None = None,  # noqa: A002 - the name that users write
    queue: str | None = None,
    parent_close: ParentClose = "terminate",
    cancellation: Cancellation = "wait",
    run_timeout: Duration | None = None,
    execution_timeout: Duration | None = None,
    attributes: Mapping[Attribute[Any], Any] | None = None,
    memo: Mapping[str, Any] | None = None,
    version: str | None = None,
) -> Callable[..., Awaitable[ChildHandle[Any]]]:
    """Return a callable that starts the workflow `target` as a child; awaiting the call gives a `ChildHandle` once it has started.

    `target` is a workflow or a name, for code that lives elsewhere (`returns` is its result's type). `id` is the child's workflow
    id (default: derived from this run's, the same on each replay). `queue` is its task queue (default: this run's).
    `run_timeout` limits its run (default: what the workflow declares), `execution_timeout` the whole chain of runs that continue as
    new, with no default. `attributes` and `memo` are what it begins with, as with `client.start`; none of this run's are handed
    down. `version` goes with a name, and pins the child to it.

    `parent_close` says what becomes of the child if it is open when this run closes, however that happens: it is terminated,
    asked to cancel, or left alone ("abandon"). `cancellation` says what the cancellation of a wait for the child does: "wait"
    asks the child to cancel and goes on waiting until it has ended (then `CancelledError` is raised if it was cancelled, and its
    result is returned if it completed all the same); "try" asks it and raises at once; "abandon" raises at once.

    Raises `InvalidIdError`, `InvalidCallError`, `ValueError`, `PayloadTooLargeError` or `DefinitionError` for wrong options. The
    call raises `EncodeError` or `PayloadTooLargeError` for arguments or a memo that do not fit, and `InvalidCallError` for this
    run's own workflow id; awaiting it raises `RunAlreadyOpenError` if a run of that id is open (a closed one's may be used again).
    Works in workflow code only; on replay nothing is started.
    """
    call = child_call(
        target,
        returns,
        id,
        queue,
        parent_close,
        cancellation,
        run_timeout,
        execution_timeout,
        attributes,
        memo,
        version,
    )

    def start(*args: Any, **kwargs: Any) -> Awaitable[ChildHandle[Any]]:
        command = start_child_command(require_run(f"start_child({call.name})"), call, args, kwargs)
        return command.started(ChildHandle[Any](command))

    return start


def child_call(
    target: object,
    returns: Any,
    id: str | None,  # noqa: A002 - the name that users write
    queue: str | None,
    parent_close: str,
    cancellation: str,
    run_timeout: Duration | None,
    execution_timeout: Duration | None = None,
    attributes: Mapping[Attribute[Any], Any] | None = None,
    memo: Mapping[str, Any] | None = None,
    pinned_to: str | None = None,
) -> ChildCall:
    """Return what it takes to start `target`, with every option checked. Raises as `start_child` does."""
    timeout_ms = optional_ms(run_timeout, what="run_timeout")
    name: str
    signature: CallSignature
    raises: tuple[type[BaseException], ...]
    version, pinned = ("", False) if pinned_to is None else (checked_version(pinned_to), True)
    if isinstance(target, str):
        name, signature, raises = checked_name(target, "workflow name"), untyped_signature(returns), ()
    elif is_workflow(target):
        if pinned_to is not None:
            raise InvalidCallError(f"start_child: a version goes with a workflow's name; {target!r} has its own")
        name, signature, raises = target.name, target.signature, target.raises
        version, pinned = target.version, target.pinned
        timeout_ms = target.timeout_ms if timeout_ms is None else timeout_ms
    else:
        raise _no_workflow(target)
    return ChildCall(
        name=name,
        signature=signature,
        raises=raises,
        id=None if id is None else checked_workflow_id(id),
        queue=None if queue is None else checked_queue(queue),
        parent_close=cast(ParentClose, checked_choice(parent_close, get_args(ParentClose), "parent_close")),
        cancellation=cast(Cancellation, checked_choice(cancellation, get_args(Cancellation), "cancellation")),
        timeout_ms=timeout_ms,
        version=version,
        pinned=pinned,
        attributes=attributes_at_start(attributes),
        memo=None if memo is None else partial(stored_memo, copy(memo)),
        execution_timeout_ms=optional_ms(execution_timeout, what="execution_timeout"),
    )


def child_caller(call: ChildCall) -> Callable[..., Awaitable[Any]]:
    """Return a callable that starts a child and answers with an awaitable of its result."""

    def call_child(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return start_child_command(require_run(f"proxy({call.name})"), call, args, kwargs).ended()

    return call_child


def _no_workflow(target: object) -> DefinitionError:
    if isinstance(target, Activity):
        return DefinitionError(f"start_child: {target!r} is an activity; await it, or give it options with proxy(...)")
    if callable(target) and hasattr(target, "__code__"):
        return DefinitionError(f"start_child: {describe(target)} is a plain function; decorate it with @workflow")
    return DefinitionError(f"start_child: expected a workflow or its name, got {target!r}")
