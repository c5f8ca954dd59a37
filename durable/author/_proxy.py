"""`proxy` and `local`: activities and child workflows with other options, from a function, a name, a module, a class or an instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar, overload

from .._duration import Duration
from .._ids import checked_name
from .._runtime.commands import schedule_activity, schedule_local
from .._runtime.context import require_run
from .._runtime.options import ActivityCall, ActivityOptions
from ..codec import untyped_signature
from ..errors import DefinitionError
from ..history import Cancellation, ParentClose
from ..retry import DEFAULT_RETRY, RetryPolicy
from ._activity import Activity, activities_of, activity_options, is_activity
from ._attributes import Attribute
from ._children import child_call, child_caller
from ._definitions import describe
from ._workflow import Workflow, is_workflow

P = ParamSpec("P")
R = TypeVar("R")


class ActivitiesProxy:
    """The activities of a module, a class or an instance, each to be called as an attribute."""

    def __init__(self, source: object, calls: dict[str, Callable[..., Awaitable[Any]]]) -> None:
        self._source = source
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = self._calls.get(name)
        if call is None:
            known = ", ".join(sorted(self._calls))
            raise AttributeError(f"{self._source!r} has no activity {name!r}; it has: {known}")
        return call


@overload
def proxy(
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
) -> Callable[P, Awaitable[R]]: ...
@overload
def proxy(
    target: Activity[P, Coroutine[Any, Any, R]],
    *,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation | None = None,
) -> Callable[P, Awaitable[R]]: ...
@overload
def proxy(
    target: Activity[P, R],
    *,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation | None = None,
) -> Callable[P, Awaitable[R]]: ...
@overload
def proxy(
    target: str,
    *,
    returns: Any = Any,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation | None = None,
) -> Callable[..., Awaitable[Any]]: ...
@overload
def proxy(
    target: object,
    *,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation | None = None,
) -> Any: ...
def proxy(
    target: Any,
    *,
    returns: Any = Any,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    id: str | None = None,  # noqa: A002 - the name that users write
    parent_close: ParentClose | None = None,
    cancellation: Cancellation | None = None,
    run_timeout: Duration | None = None,
    execution_timeout: Duration | None = None,
    attributes: Mapping[Attribute[Any], Any] | None = None,
    memo: Mapping[str, Any] | None = None,
) -> Any:
    """Return a callable that runs `target` with these options; what is not given stays as declared.

    `target` is an activity, the name of one (for code that lives elsewhere; `returns` is its result's type), or a module, class or
    instance: then the result has each of its activities as an attribute. The options are those of `@activity`. An error in
    `raises` that the activity does not declare itself arrives with its message alone, as `Error(message)`.

    A workflow is run as a child, whose result the callable gives: its options are those of `start_child`, and the await raises
    `ChildWorkflowError` as `ChildHandle.result` does, or `RunAlreadyOpenError` if a run of its `id` is open.

    Raises `DefinitionError` for a plain function or an option that `target` does not have, `ValueError` for one out of
    range. The callable works in workflow code only and answers as `target` itself does there.
    """
    of_child = {
        "id": id, "parent_close": parent_close, "run_timeout": run_timeout, "execution_timeout": execution_timeout,
        "attributes": attributes, "memo": memo,
    }  # fmt: skip
    if is_workflow(target):
        of_activity = {
            "timeout": timeout, "total_timeout": total_timeout, "queue_timeout": queue_timeout,
            "heartbeat_timeout": heartbeat_timeout, "retry": retry, "raises": raises or None,
        }  # fmt: skip
        _refuse_options(target, of_activity, "activities")
        close, cancelling = parent_close or "terminate", cancellation or "wait"
        call = child_call(
            target, returns, id, queue, close, cancelling, run_timeout, execution_timeout, attributes, memo
        )
        return child_caller(call)
    _refuse_options(target, of_child, "child workflows")
    given = activity_options(
        queue, timeout, total_timeout, queue_timeout, heartbeat_timeout, retry, raises, cancellation
    )
    if isinstance(target, str):
        name = checked_name(target, "activity name")
        return _caller(ActivityCall(name, untyped_signature(returns), replace(given, retry=_retry(given, None))))
    if is_activity(target):
        return _caller(_with_options(target, given))
    _refuse_plain_function(target, "proxy")
    found = activities_of(target)
    if not found:
        raise DefinitionError(f"proxy: no activities in {target!r}; decorate its functions or methods with @activity")
    return ActivitiesProxy(target, {name: _caller(_with_options(item, given)) for name, item in found.items()})


@overload
def local(
    target: Activity[P, Coroutine[Any, Any, R]],
    *,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
) -> Callable[P, Awaitable[R]]: ...
@overload
def local(
    target: Activity[P, R],
    *,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
) -> Callable[P, Awaitable[R]]: ...
def local(
    target: Activity[P, Any],
    *,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
) -> Callable[P, Awaitable[Any]]:
    """Return a callable that runs the activity `target` in the engine's own process, without a task on a queue.

    For short calls: the step is held open until it ends, and its outcome is recorded in the same commit as what follows. If
    the process dies before that, it runs again. Retries follow the policy; one whose pause is longer than 5 s is
    recorded, and waits as a durable timer. The options are those of `@activity` that mean something here, and what is not
    given stays as declared. Cancelling it (also by cancelling the run, which reaches it while it runs) tells the attempt
    to stop, and raises at once. Workflow code only.

    Raises `DefinitionError` if `target` is no activity, `ValueError` for a limit out of range.
    """
    if not isinstance(target, Activity):
        raise DefinitionError(f"local: expected an activity, got {target!r}; decorate the function with @activity")
    call = _with_options(target, activity_options(None, timeout, total_timeout, None, None, retry, raises, None))

    def run_locally(*args: P.args, **kwargs: P.kwargs) -> Awaitable[Any]:
        return schedule_local(require_run(f"local({call.name})"), call, args, kwargs)

    return run_locally


def _caller(call: ActivityCall) -> Callable[..., Awaitable[Any]]:
    def call_activity(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return schedule_activity(require_run(f"proxy({call.name})"), call, args, kwargs)

    return call_activity


def _with_options(target: Activity[..., Any], given: ActivityOptions) -> ActivityCall:
    declared = target.options
    merged = replace(
        declared,
        queue=given.queue or declared.queue,
        timeout_ms=_either(given.timeout_ms, declared.timeout_ms),
        total_timeout_ms=_either(given.total_timeout_ms, declared.total_timeout_ms),
        queue_timeout_ms=_either(given.queue_timeout_ms, declared.queue_timeout_ms),
        heartbeat_timeout_ms=_either(given.heartbeat_timeout_ms, declared.heartbeat_timeout_ms),
        retry=_retry(given, declared.retry),
        raises=given.raises or declared.raises,
        cancellation=given.cancellation or declared.cancellation,
    )
    return ActivityCall(target.name, target.signature, merged)


def _retry(given: ActivityOptions, declared: RetryPolicy | None) -> RetryPolicy | None:
    """The policy of a call. Errors that the call declares are not retried: the worker, who has not heard of them, would."""
    policy = given.retry or declared
    if not given.raises:
        return policy
    policy = policy or DEFAULT_RETRY
    return replace(policy, non_retryable=(*policy.non_retryable, *given.raises))


def _either(given: int | None, declared: int | None) -> int | None:
    return given if given is not None else declared


def _refuse_options(target: object, options: dict[str, Any], whose: str) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise DefinitionError(f"proxy: {target!r} has no option {given[0]!r}, which is one of {whose}")


def _refuse_plain_function(target: Any, what: str) -> None:
    if callable(target) and hasattr(target, "__code__"):
        raise DefinitionError(f"{what}: {describe(target)} is a plain function; decorate it with @activity")
