"""`continue_as_new`: a run that goes on as a new one, with a history of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, overload

from .._duration import Duration, optional_ms
from .._ids import checked_name, checked_queue, checked_version
from .._runtime.context import require_run
from .._runtime.continuing import ContinueAsNew, NewRun
from .._runtime.options import CallSignature
from .._runtime.run import Run
from ..codec import untyped_signature
from ..errors import DefinitionError, InvalidCallError
from ..history import to_raw
from ._workflow import Workflow

P = ParamSpec("P")


class ContinuingAsNew:
    """Closes this run and opens the next one under the same workflow id, in one: `continue_as_new(state)`. It never returns.

    The arguments are those of this workflow; `continue_as_new.into(...)(...)` takes another workflow, a queue or a time limit. The
    new run has a history of its own, and belongs to the same chain: it keeps the parent, attributes, memo, the time that is
    left of `execution_timeout`, the signals that the code has not read, in their order, and the ids of the last 1,000 calls, so that their
    repeats are still dropped. `handle.result()` follows the chain to its end; what is sent to a run that continued goes to
    the current one. Activities and timers that are pending are given up, as at any end of a run.

    It leaves the code as an exception that is no `Exception`: `finally` blocks run, and may still await. The run waits for its
    running handlers; a signal that no handler has begun with goes to the new run, and so does a cancellation that comes now.

    Raises, at the call: `EncodeError` or `InvalidCallError` for arguments that do not fit, naming them; `InvalidCallError` anywhere but
    in the workflow's main coroutine: not in a handler, nor in a task that the code made (let the main coroutine await that, and
    call this itself). On replay it does the same again.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Continue with these arguments of this workflow."""
        _continue(None, None, None, args, kwargs)

    @overload
    def into(
        self, workflow: Workflow[P, Any], *, queue: str | None = None, run_timeout: Duration | None = None
    ) -> Callable[P, NoReturn]: ...
    @overload
    def into(
        self,
        workflow: str | None = None,
        *,
        queue: str | None = None,
        run_timeout: Duration | None = None,
        version: str | None = None,
    ) -> Callable[..., NoReturn]: ...
    def into(
        self,
        workflow: Any = None,
        *,
        queue: str | None = None,
        run_timeout: Duration | None = None,
        version: str | None = None,
    ) -> Callable[..., NoReturn]:
        """Return a callable that continues as `workflow` (a workflow or its name; default: this one), on the task queue `queue`.

        `run_timeout` limits the new run. What is not given stays: the queue, and the limit, but that of another workflow is
        its own. A run that is pinned to a version stays with it, unless it continues as another workflow, or as a name with
        `version`: that pins the new run to that version.

        Raises `DefinitionError` for what is no workflow, `InvalidCallError` for a version beside one, `InvalidIdError` and
        `ValueError` for bad options.
        """
        target = _checked(workflow)
        checked = None if queue is None else checked_queue(queue)
        timeout_ms = optional_ms(run_timeout, what="run_timeout")
        pinned = None if version is None else checked_version(version)
        if pinned is not None and not isinstance(target, str):
            raise InvalidCallError(
                "continue_as_new.into: a version goes with a workflow's name; a workflow has its own"
            )

        def call(*args: Any, **kwargs: Any) -> NoReturn:
            _continue(target, checked, timeout_ms, args, kwargs, pinned)

        return call


continue_as_new = ContinuingAsNew()
"""Go on as a new run, with a history of its own: `continue_as_new(state)`, or `continue_as_new.into(workflow, queue=...)(state)`."""


def _checked(workflow: object) -> Workflow[..., Any] | str | None:
    if workflow is None or isinstance(workflow, Workflow):
        return workflow  # pyright: ignore[reportUnknownVariableType]
    if isinstance(workflow, str):
        return checked_name(workflow, "workflow name")
    raise DefinitionError(f"continue_as_new.into: expected a workflow or its name, got {workflow!r}")


def _continue(
    target: Workflow[..., Any] | str | None,
    queue: str | None,
    timeout_ms: int | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    pinned_to: str | None = None,
) -> NoReturn:
    run = require_run("continue_as_new")
    run.check_may_command("a new run")
    if not run.in_main():
        raise InvalidCallError(
            "continue_as_new works in the workflow's main coroutine only: not in a handler, nor in a task that the code made; "
            "let the main coroutine wait for that, and call it there"
        )
    name, signature, limit_ms, version, pinned = _described(run, target)
    if pinned_to is not None:
        version, pinned = pinned_to, True
    to_queue = queue or run.queue

    def go_on(args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str] | None) -> NoReturn:
        payload = signature.encode_call(run.codec, args, kwargs, what=f"workflow {name}")
        raise ContinueAsNew(
            NewRun(
                workflow=name,
                queue=to_queue,
                args=to_raw(payload),
                timeout_ms=timeout_ms or limit_ms,
                version=version,
                pinned=pinned,
                headers=headers,
            )
        )

    if run.around is not None and run.around.continue_as_new is not None:
        run.around.go_on(run, name, to_queue, args, kwargs, go_on)
    go_on(args, kwargs, run.started.headers)


def _described(run: Run, target: Workflow[..., Any] | str | None) -> tuple[str, CallSignature, int | None, str, bool]:
    """Return the name, signature, time limit and version of the workflow that the run continues as, and whether it is pinned."""
    started = run.started
    same = isinstance(target, Workflow) and target.fn is run.spec.fn  # with interceptors, the spec is a copy
    if target is None or target == run.spec.name or same:
        # Without pinning it is the code of now that steps the new run.
        version = started.version if started.pinned else run.spec.version
        return run.spec.name, run.spec.signature, started.timeout_ms, version, started.pinned
    if isinstance(target, Workflow):
        return target.name, target.signature, target.timeout_ms, target.version, target.pinned
    return target, untyped_signature(), started.timeout_ms, "", False
