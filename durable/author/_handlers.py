"""What handlers of messages have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from .._runtime.context import require_run
from .._runtime.run import Run
from ..errors import DefinitionError
from ..history import from_raw
from ._definitions import checked_function, describe

F = TypeVar("F", bound=Callable[..., Any])
Unfinished = Literal["wait", "abandon"]
"""What becomes of a handler that is running when the workflow returns: the run waits for it, or cancels it."""


def taking_value(fn: Callable[..., Any], what: str, type_: Any) -> Callable[..., Any]:
    """Return the handler `fn` as a function of the value of `what`, a message of type `type_`.

    One of a message without a value may take none. Raises `DefinitionError` for what is no function, or takes no value.
    """
    checked = checked_function(fn, "handler")
    if inspect.signature(checked).parameters:
        return checked
    if type_ is not None:
        raise DefinitionError(f"the handler {describe(checked)} must take the value of {what}")
    return _ignoring_value(checked)


def taking_name(fn: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Return `fn` if it can be the dynamic handler of `what`: it takes a name and a value. Raises `DefinitionError`."""
    checked = checked_function(fn, "handler")
    try:
        inspect.signature(checked).bind("name", None)
    except TypeError:
        raise DefinitionError(
            f"the dynamic handler {describe(checked)} must take the {what}'s name and value: two arguments"
        ) from None
    return checked


def abandons(unfinished: str) -> bool:
    """Return whether the run does not wait for the handler. Raises `ValueError` for an unknown choice."""
    if unfinished not in ("wait", "abandon"):
        raise ValueError(f"unfinished: expected 'wait' or 'abandon', got {unfinished!r}")
    return unfinished == "abandon"


def _ignoring_value(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    if inspect.iscoroutinefunction(fn):

        async def call_async(_value: Any) -> Any:
            return await fn()

        return call_async
    return lambda _value: fn()


def all_handlers_finished() -> bool:
    """Return whether no handler of a signal or update is running or about to run, but those that need not end.

    A run waits for its handlers before it closes; `await wait_condition(all_handlers_finished)` waits for them before the
    code goes on, for instance to return what they have counted. Works in workflow code only.
    """
    return not require_run("all_handlers_finished").calls.busy


def decoded(run: Run, raw: msgspec.Raw, type_: Any, what: str) -> Any:
    """Return the value of a message. One that does not fit is not the code's fault: the run is stuck then, not failed."""
    try:
        return run.codec.decode(from_raw(raw), type_, what=what)
    except Exception as error:
        run.abort(error)
