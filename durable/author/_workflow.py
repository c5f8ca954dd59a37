"""`@workflow`: the functions whose progress survives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from .._duration import Duration, optional_ms
from .._runtime import guard
from .._runtime.context import current_run
from ..codec import Signature, signature_of
from ..errors import InvalidCallError
from ._definitions import checked_workflow_function, definition_name, describe

P = ParamSpec("P")
R = TypeVar("R")


class Workflow(Generic[P, R]):
    """An `async def` whose progress is recorded, made by `@workflow`. Outside a worker it is the plain function.

    `name` is what histories call it; `timeout_ms` limits a run (None: no limit); `raises` are declared errors, which
    `handle.result()` raises as the cause.
    """

    def __init__(
        self,
        fn: Callable[P, Coroutine[Any, Any, R]],
        name: str,
        timeout_ms: int | None,
        raises: tuple[type[BaseException], ...],
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = name
        self.timeout_ms = timeout_ms
        self.raises = raises
        # Made here, where the names of an enclosing function can be seen; its hints are resolved at the first use.
        self.signature: Signature = signature_of(fn)

    def check(self) -> None:
        """Look once more at what the code refers to, now that its module is loaded. Raises `DefinitionError` as the decorator does."""
        guard.check_code(self.fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function itself: for unit tests. Raises `InvalidCallError` inside a workflow."""
        if current_run() is not None:
            raise InvalidCallError(
                f"workflow {self.name!r} was called inside a workflow; to run its code as a part of this run, "
                f"await `{self.fn.__name__}.fn(...)` (child workflows are not part of this version)"
            )
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name} of {describe(self.fn)}>"


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
    *, name: str | None = None, timeout: Duration | None = None, raises: Sequence[type[BaseException]] = ()
) -> WorkflowDecorator: ...
def workflow(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    raises: Sequence[type[BaseException]] = (),
) -> Any:
    """Make an `async def` a workflow: ordinary code, whose awaits are recorded, and which goes on after a crash.

    Between awaits the code must be deterministic: time, chance and ids come from `now()`, `random()` and `uuid4()`, I/O
    belongs into activities. `timeout` limits a run from its start; then it ends as timed out.

    Raises `DefinitionError` for what cannot be a workflow.
    """
    timeout_ms = optional_ms(timeout, what="timeout")

    def make(function: Callable[..., Any]) -> Workflow[..., Any]:
        checked = checked_workflow_function(function)
        guard.check_code(checked)
        return Workflow(checked, definition_name(checked, name, "workflow"), timeout_ms, tuple(raises))

    return make(fn) if fn is not None else WorkflowDecorator(make)
