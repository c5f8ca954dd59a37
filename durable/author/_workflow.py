"""`@workflow`: the functions whose progress survives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from typing import Any, Generic, Literal, ParamSpec, TypeGuard, TypeVar, cast, overload

from .._duration import Duration, optional_ms, retention_ms
from .._ids import checked_version
from .._runtime import guard
from .._runtime.around import Around
from .._runtime.commands import start_child_command
from .._runtime.context import current_run
from .._runtime.options import ChildCall
from ..codec import Signature, signature_of
from ..errors import DefinitionError
from ._definitions import checked_workflow_function, definition_name, describe

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Workflow(Generic[P, R_co]):
    """An `async def` whose progress is recorded, made by `@workflow`. Outside a worker it is the plain function; called by
    another workflow's code, it runs as a child.

    `name` is what histories call it; `timeout_ms` limits a run (None: no limit); `raises` are declared errors, which
    `handle.result()` raises as the cause. `version` is "" for none; `pinned`: its runs stay with workers of that version.
    `retention_ms` is how long its closed runs are kept (None: as the worker says).
    """

    around: Around | None = None  # the interceptors of the worker that runs it; see `within`

    def __init__(
        self,
        fn: Callable[P, Coroutine[Any, Any, R_co]],
        name: str,
        timeout_ms: int | None,
        raises: tuple[type[BaseException], ...],
        version: str = "",
        pinned: bool = False,
        retention_ms: int | None = None,
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = name
        self.timeout_ms = timeout_ms
        self.raises = raises
        self.version = version
        self.pinned = pinned
        self.retention_ms = retention_ms
        # Made here, where the names of an enclosing function can be seen; its hints are resolved at the first use.
        self.signature: Signature = signature_of(fn)

    @functools.cached_property
    def call(self) -> ChildCall:
        """What workflow code needs to start it as a child."""
        return ChildCall(
            self.name, self.signature, self.raises, timeout_ms=self.timeout_ms, version=self.version, pinned=self.pinned
        )

    def check(self) -> None:
        """Look once more at what the code refers to, now that its module is loaded. Raises `DefinitionError` as the decorator does."""
        guard.check_code(self.fn)

    def within(self, around: Around) -> Workflow[P, R_co]:
        """Return this workflow as one whose runs have these interceptors."""
        copied = copy(self)
        copied.around = around
        return copied

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Start it as a child inside a workflow, and return an awaitable of its result; call the function itself outside.

        In workflow code this is `proxy(workflow)(...)`: see there, and `start_child`, for the options and what is raised. To run
        the code as a part of the calling run, await `workflow.fn(...)`.
        """
        run = current_run()
        if run is None:
            return self.fn(*args, **kwargs)
        return cast(Coroutine[Any, Any, R_co], start_child_command(run, self.call, args, kwargs).ended())

    def __repr__(self) -> str:
        version = f" version {self.version}" if self.version else ""
        return f"<workflow {self.name}{version} of {describe(self.fn)}>"


class WorkflowDecorator:
    """What `@workflow(...)` with options returns."""

    def __init__(self, make: Callable[[Callable[..., Any]], Workflow[..., Any]]) -> None:
        self._make = make

    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]]) -> Workflow[P, R]:
        """Make `fn` a workflow."""
        return cast(Workflow[P, R], self._make(fn))


@overload
def workflow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    raises: Sequence[type[BaseException]] = (),
    version: str | None = None,
    pinned: bool = False,
    retention: Duration | Literal["forever"] | None = None,
) -> WorkflowDecorator: ...
def workflow(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    raises: Sequence[type[BaseException]] = (),
    version: str | None = None,
    pinned: bool = False,
    retention: Duration | Literal["forever"] | None = None,
) -> Any:
    """Make an `async def` a workflow: ordinary code, whose awaits are recorded, and which goes on after a crash.

    Between awaits the code must be deterministic: time, chance and ids come from `now()`, `random()` and `uuid4()`, I/O
    belongs into activities. `timeout` limits a run from its start; then it ends as timed out.

    `version` is recorded with each run that is started. With `pinned=True` a run also ends on the version that it began
    with: only workers that have this version of the workflow step it, side by side with those that have another. A
    worker may serve several versions of one name.

    `retention` is how long a closed run is kept before the workers remove it ("forever": never); by default, as
    `Worker(retention=...)` says. It is that of the code which serves the workflow when the time has come.

    Raises `DefinitionError` for what cannot be a workflow, and for `pinned` without a version; `InvalidIdError` for a
    version that is no text, is empty, too long, or holds "@".
    """
    known_version = "" if version is None else checked_version(version)
    if pinned and not known_version:
        raise DefinitionError('a pinned workflow needs a version: @workflow(version="2", pinned=True)')
    timeout_ms = optional_ms(timeout, what="timeout")
    kept_ms = retention_ms(retention)

    def make(function: Callable[..., Any]) -> Workflow[..., Any]:
        checked = checked_workflow_function(function)
        guard.check_code(checked)
        named = definition_name(checked, name, "workflow")
        return Workflow(checked, named, timeout_ms, tuple(raises), known_version, bool(pinned), kept_ms)

    return make(fn) if fn is not None else WorkflowDecorator(make)


def is_workflow(value: object) -> TypeGuard[Workflow[..., Any]]:
    """Return whether `value` is a workflow."""
    return isinstance(value, Workflow)
