"""Which activities a workflow calls, as far as its compiled code tells without running it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from ...author import Activity, Workflow

_FUNCTIONS_MAX = 500  # helpers looked into; what lies beyond is found when it is called


def activities_in(function: Any) -> dict[str, Activity[..., Any]]:
    """Return the activities that `function` and the helpers which it names refer to, by name.

    What is reached by other ways (a name in a `proxy`, an attribute of a local variable) is not found: such an activity is met when a run
    asks for it. Knowing most of them before keeps what is drawn independent of what the code does.
    """
    return {value.name: value for value in _called_in(function) if isinstance(value, Activity)}


def children_in(function: Any) -> dict[str, Workflow[..., Any]]:
    """Return the workflows that `function` and its helpers refer to, by name, as `activities_in` does: it may run them as children."""
    return {value.name: value for value in _called_in(function) if isinstance(value, Workflow)}


def named_in(function: Any) -> Iterator[Any]:
    """Yield what the code of `function` and its helpers names, of any kind; only of plain functions."""
    frontier: list[FunctionType] = [function] if isinstance(function, FunctionType) else []
    seen = {id(function)}
    while frontier and len(seen) < _FUNCTIONS_MAX:
        for value in _named_by(frontier.pop()):
            yield value
            if isinstance(value, FunctionType) and id(value) not in seen and not _is_foreign(value):
                seen.add(id(value))
                frontier.append(value)


def _called_in(function: Any) -> list[Activity[..., Any] | Workflow[..., Any]]:
    """Return what `function` and its helpers name, of activities and workflows, sorted by name."""
    found: dict[tuple[str, bool], Activity[..., Any] | Workflow[..., Any]] = {}
    for value in named_in(function):
        if isinstance(value, Activity | Workflow):
            item = cast("Activity[..., Any] | Workflow[..., Any]", value)
            found.setdefault((item.name, isinstance(item, Workflow)), item)
    return [found[key] for key in sorted(found)]


def _named_by(function: FunctionType) -> Iterator[Any]:
    """Yield what the code of `function` names: globals, closure variables, and attributes of these."""
    names = set(names_in(function.__code__))
    roots = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            roots.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    for root in roots:
        yield root
        for name in sorted(names):
            value = inspect.getattr_static(root, name, None)
            if isinstance(value, Activity | Workflow) or (
                isinstance(root, ModuleType) and isinstance(value, FunctionType)
            ):
                yield value


def names_in(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in `code`, with the code inside of it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def _is_foreign(function: FunctionType) -> bool:
    """Whether `function` is of the library or of asyncio: neither calls activities of the user by itself."""
    module = function.__module__
    return module.partition(".")[0] in ("durable", "asyncio") and not module.startswith("durable._samples.")
