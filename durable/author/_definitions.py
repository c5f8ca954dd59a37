"""What a function must be to become a workflow, an activity or a handler."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .._ids import checked_name
from ..errors import DefinitionError


def checked_function(fn: object, what: str) -> Callable[..., Any]:
    """Return `fn` if it is a plain function or method with a name of its own.

    Raises `DefinitionError` for a lambda, a generator, a class, a built-in or anything else, saying what to do.
    """
    target: Any = inspect.unwrap(fn) if callable(fn) else fn
    if isinstance(target, functools.partial):
        raise DefinitionError(
            f"@{what} needs a function with a name, got a partial of {target.func!r}; write a def for it"
        )
    kind = type(target).__name__
    if kind in ("staticmethod", "classmethod"):
        raise DefinitionError(f"put @{what} below @{kind}, not above it: {target!r}")
    if not inspect.isfunction(target) and not inspect.ismethod(target):
        raise DefinitionError(f"@{what} needs a function, got {fn!r} of type {type(fn).__name__}")
    if target.__name__ == "<lambda>":
        raise DefinitionError(
            f"a lambda cannot be {_a(what)}: it has no name to record; write a def ({describe(target)})"
        )
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise DefinitionError(f"a generator cannot be {_a(what)}: {describe(target)}; return a list, or use signals")
    assert callable(fn)
    return fn


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def checked_workflow_function(fn: object) -> Callable[..., Any]:
    """Return `fn` if it can be a workflow: an `async def`. Raises `DefinitionError`."""
    function = checked_function(fn, "workflow")
    if not inspect.iscoroutinefunction(function):
        raise DefinitionError(
            f"a workflow must be an async def: {describe(function)}; write `async def {function.__name__}(...)`"
        )
    return function


def definition_name(fn: Callable[..., Any], name: str | None, what: str) -> str:
    """Return the name to record: `name`, or the function's own. Raises `InvalidIdError`."""
    return checked_name(fn.__name__ if name is None else name, f"{what} name")


def describe(fn: Callable[..., Any]) -> str:
    """Return where `fn` is defined, for error messages."""
    code = getattr(fn, "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{getattr(fn, '__qualname__', fn)!s}{place}"


def checked_raises(raises: Sequence[type[BaseException]]) -> tuple[type[BaseException], ...]:
    """Return the declared errors. Raises `TypeError` unless they are a list of exception classes."""
    if isinstance(raises, type):
        raise TypeError(
            f"raises: expected a list of exception classes, got {raises!r}; write raises=[{raises.__name__}]"
        )
    for error in raises:
        if not _is_exception_class(error):
            raise TypeError(f"raises: expected exception classes, got {error!r}")
    return tuple(raises)


def _is_exception_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)
