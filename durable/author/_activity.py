"""`@activity`: functions that do the I/O."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, ParamSpec, TypeGuard, TypeVar, cast, get_args, overload

from .._duration import Duration, optional_ms
from .._ids import checked_choice
from .._runtime.commands import schedule_activity
from .._runtime.context import current_run
from .._runtime.options import ActivityCall, ActivityOptions
from ..codec import Signature, signature_of
from ..errors import DefinitionError
from ..history import Cancellation
from ..retry import RetryPolicy
from ._definitions import checked_function, checked_raises, definition_name, describe

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Mode = Literal["async", "thread", "process"]


class Activity(Generic[P, R_co]):
    """A function that does I/O, made by `@activity`. It runs at least once; its result is recorded once.

    Called inside a workflow it records a command and returns an awaitable; outside it is the plain function. `name` is
    what histories call it, `mode` how it runs: on the worker's loop, in a thread, or in a process of its own.
    """

    def __init__(
        self, fn: Callable[P, R_co], name: str, mode: Mode, options: ActivityOptions, *, skip_self: bool = False
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = name
        self.mode: Mode = mode
        self.options = options
        self._skip_self = skip_self
        # Made here, where the names of an enclosing function can be seen; its hints are resolved at the first use.
        self.signature: Signature = signature_of(fn, skip_self=skip_self)

    @functools.cached_property
    def call(self) -> ActivityCall:
        """What workflow code needs to call it."""
        return ActivityCall(self.name, self.signature, self.options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Record the call and return an awaitable of its result inside a workflow; call the function outside.

        In workflow code, awaiting raises one of the declared errors as itself, `ActivityTimeoutError` or `ActivityError`;
        the call itself raises `EncodeError` for arguments that do not fit. On replay the result comes from the history.
        """
        run = current_run()
        if run is None:
            return self.fn(*args, **kwargs)
        if self._skip_self:
            raise DefinitionError(
                f"{self.name} is a method: call it on `proxy({self.fn.__qualname__.rpartition('.')[0]})`"
            )
        return cast(R_co, schedule_activity(run, self.call, args, kwargs))

    def __get__(self, instance: Any, owner: type | None = None) -> Activity[..., Any]:
        """Return the activity bound to `instance`: what a worker registers, and what `instance.method(...)` calls."""
        return self if instance is None else self.bound(instance)

    def bound(self, instance: Any) -> Activity[..., Any]:
        """Return this activity as a method of `instance`, under the same name."""
        return Activity(self.fn.__get__(instance), self.name, self.mode, self.options)

    def __repr__(self) -> str:
        return f"<activity {self.name} of {describe(self.fn)}>"


class ActivityDecorator:
    """What `@activity(...)` with options returns."""

    def __init__(self, make: Callable[[Callable[..., Any]], Activity[..., Any]]) -> None:
        self._make = make

    def __call__(self, fn: Callable[P, R]) -> Activity[P, R]:
        """Make `fn` an activity."""
        return cast(Activity[P, R], self._make(fn))


@overload
def activity(fn: Callable[P, R], /) -> Activity[P, R]: ...
@overload
def activity(
    *,
    name: str | None = None,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation = "try",
    cpu_bound: bool = False,
) -> ActivityDecorator: ...
def activity(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    raises: Sequence[type[BaseException]] = (),
    cancellation: Cancellation = "try",
    cpu_bound: bool = False,
) -> Any:
    """Make a function an activity: the place for I/O. An `async def` runs on the worker's loop, a `def` in a thread.

    `timeout` limits one attempt, `total_timeout` all of them with their pauses, `queue_timeout` the wait for a worker,
    `heartbeat_timeout` the time between two calls of `heartbeat`. `retry` is the policy for failures (default: 10 attempts,
    1 s doubling up to 100 s). `raises` declares errors that reach the workflow as themselves and are not retried.
    `cancellation` says what cancelling it means: "try" tells a running attempt and raises `CancelledError` at the await at
    once; "wait" raises once the attempt has ended, or lets its result or failure pass if it ended with one all the same;
    "abandon" raises at once and tells nobody: the attempt goes on, is not retried, and its outcome is dropped.
    `cpu_bound` runs a `def` in a process of its own. `queue` is where its tasks go (default: the run's queue).

    An attempt may run more than once, if its worker dies: use `activity_info().idempotency_key` towards the outside.
    Raises `DefinitionError` for what cannot be an activity, `ValueError` for a limit out of range.
    """
    options = activity_options(
        queue, timeout, total_timeout, queue_timeout, heartbeat_timeout, retry, raises, cancellation
    )

    def make(function: Callable[..., Any]) -> Activity[..., Any]:
        checked = checked_function(function, "activity")
        is_async = inspect.iscoroutinefunction(checked)
        if cpu_bound and is_async:
            raise DefinitionError(f"a cpu_bound activity must be a plain def: {describe(checked)}")
        mode: Mode = "async" if is_async else "process" if cpu_bound else "thread"
        return Activity(
            checked, definition_name(checked, name, "activity"), mode, options, skip_self=_is_method(checked)
        )

    return make(fn) if fn is not None else ActivityDecorator(make)


def activity_options(
    queue: str | None,
    timeout: Duration | None,
    total_timeout: Duration | None,
    queue_timeout: Duration | None,
    heartbeat_timeout: Duration | None,
    retry: RetryPolicy | None,
    raises: Sequence[type[BaseException]],
    cancellation: Cancellation | None,
) -> ActivityOptions:
    """Return the options with every value checked. Raises `ValueError`, `TypeError` or `InvalidIdError` naming the value."""
    declared = checked_raises(raises)
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry: expected a RetryPolicy, got {retry!r}")
    if cancellation is not None:
        checked_choice(cancellation, get_args(Cancellation), "cancellation")
    return ActivityOptions(
        queue=queue,
        timeout_ms=optional_ms(timeout, what="timeout"),
        total_timeout_ms=optional_ms(total_timeout, what="total_timeout"),
        queue_timeout_ms=optional_ms(queue_timeout, what="queue_timeout"),
        heartbeat_timeout_ms=optional_ms(heartbeat_timeout, what="heartbeat_timeout"),
        retry=retry,
        raises=declared,
        cancellation=cancellation,
    )


def collect_activities(source: object) -> list[Activity[..., Any]]:
    """Return the activities in `source`: one itself, or all of an instance, a module or an iterable of these.

    Raises `DefinitionError` for a class (its methods need an instance), a plain function, or a source without any.
    """
    if isinstance(source, Activity):
        if source._skip_self:
            raise DefinitionError(f"{source!r} is a method: register an instance of its class instead")
        return [source]
    if isinstance(source, type):
        raise DefinitionError(
            f"register an instance of {source.__name__}, not the class: its activities need one to run on"
        )
    if inspect.isfunction(source) or inspect.isbuiltin(source):
        raise DefinitionError(f"{source!r} is a plain function: decorate it with @activity")
    if _is_collection(source):
        return [found for item in source for found in collect_activities(item)]
    found = list(activities_of(source).values())
    if not found:
        raise DefinitionError(f"no activities in {source!r}: decorate its functions or methods with @activity")
    return found


def activities_of(source: object) -> dict[str, Activity[..., Any]]:
    """Return the activities among the attributes of a module, a class or an instance, by attribute; no property is evaluated."""
    result: dict[str, Activity[..., Any]] = {}
    names = vars(source) if inspect.ismodule(source) else dir(source)
    for attribute in sorted(names):
        if isinstance(inspect.getattr_static(source, attribute, None), Activity):
            result[attribute] = getattr(source, attribute)
    return result


def _is_collection(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def is_activity(value: object) -> TypeGuard[Activity[..., Any]]:
    """Return whether `value` is an activity."""
    return isinstance(value, Activity)


def _is_method(fn: Callable[..., Any]) -> bool:
    """Whether `fn` is defined in a class body: then its first parameter is the instance."""
    if inspect.ismethod(fn):
        return False
    scope, _, _ = fn.__qualname__.rpartition(".")
    return bool(scope) and not scope.endswith("<locals>") and next(iter(inspect.signature(fn).parameters), "") == "self"
