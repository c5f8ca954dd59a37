"""Declared types, resolved: from the annotations of a function or class to types that can be compiled."""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import DefinitionError
from ._plan import type_name


@dataclass(frozen=True, slots=True)
class FunctionHints:
    """What a function declares: each parameter with its type (`Any` if it has none), and the type of its result."""

    parameters: dict[str, tuple[inspect.Parameter, Any]]
    result: Any
    namespace: Mapping[str, Any] = field(default_factory=dict[str, Any])  # local names, for classes that refer to them


def hints_of(fn: Callable[..., Any], *, namespace: Mapping[str, Any] | None = None) -> FunctionHints:
    """Return the resolved hints of `fn`, following `functools.wraps` and `functools.partial`.

    Annotations that are text are looked up in the function's module, among the variables it closes over, and in
    `namespace` (see `local_names`). Raises `DefinitionError` naming the function and the annotation if one leads nowhere.
    """
    names = {**local_names(fn), **(namespace or {})}
    inner = unwrapped(fn)
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        raise DefinitionError(
            f"{type_name(inner)}: its parameters cannot be told; wrap it in a function of your own"
        ) from None
    hints = _resolved(inner, type_name(inner), getattr(inner, "__globals__", None), names)
    parameters = {p.name: (p, hints.get(p.name, Any)) for p in signature.parameters.values()}
    return FunctionHints(parameters, hints.get("return", Any), names)


def unwrapped(fn: Any) -> Any:
    """Return the function under wrappers, partials and bound methods."""
    while True:
        if hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        elif hasattr(fn, "func") and hasattr(fn, "keywords"):
            fn = fn.func
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif not hasattr(fn, "__annotations__") and inspect.isfunction(method := vars(type(fn)).get("__call__")):
            fn = method  # an object that can be called
        else:
            return fn


def local_names(fn: Any) -> dict[str, Any]:
    """Return the names local to where `fn` is being defined: what it closes over, and its enclosing function's variables.

    The latter can be had only while that function runs, so call this when the definition is decorated.
    """
    fn = unwrapped(fn)
    names: dict[str, Any] = {}
    scopes = _enclosing(getattr(fn, "__qualname__", ""))
    frame = sys._getframe() if scopes else None  # the only way to a caller's locals
    while frame is not None:
        if frame.f_code.co_qualname in scopes and frame.f_globals is getattr(fn, "__globals__", None):
            # Types only: whatever else is there would be kept alive as long as the function.
            names = {**{name: value for name, value in frame.f_locals.items() if _is_like_a_hint(value)}, **names}
        frame = frame.f_back
    code = getattr(fn, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), getattr(fn, "__closure__", None) or (), strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for parameter in getattr(fn, "__type_params__", ()):
        names[parameter.__name__] = parameter
    return names


def _enclosing(qualname: str) -> set[str]:
    parts = qualname.split(".<locals>.")
    return {".<locals>.".join(parts[:count]) for count in range(1, len(parts))}


def _is_like_a_hint(value: Any) -> bool:
    kinds = (type, types.ModuleType, types.UnionType, typing.TypeVar, typing.NewType)
    return isinstance(value, kinds) or typing.get_origin(value) is not None or type(value).__name__ == "TypeAliasType"


def class_hints(cls: type, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resolved hints of a class and its bases, type variables of generic bases filled in."""
    names = {**namespace, **{p.__name__: p for p in getattr(cls, "__type_params__", ())}, type_name(cls): cls}
    hints = _resolved(cls, type_name(cls), None, names)
    if not any(_has_variables(hint) for hint in hints.values()):
        return hints
    for base, arguments in _arguments_of_bases(cls).items():
        own = _own_names(base)
        for name in own & hints.keys():
            hints[name] = substituted(hints[name], arguments)
    return hints


def substituted(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """Return `hint` with type variables replaced; one that is not in `arguments` stays."""
    if isinstance(hint, typing.TypeVar):
        return arguments.get(hint, hint)
    alias: Any = hint
    if not hasattr(hint, "__args__") or not getattr(hint, "__parameters__", ()):  # a bare class keeps its own variables
        return hint
    return alias[tuple(arguments.get(parameter, parameter) for parameter in alias.__parameters__)]


def _has_variables(hint: Any) -> bool:
    return isinstance(hint, typing.TypeVar) or bool(getattr(hint, "__parameters__", ()))


def _own_names(cls: type) -> set[str]:
    annotations: Any = (
        getattr(cls, "__annotations__", {}) if "__annotations__" in vars(cls) else inspect.get_annotations(cls)
    )
    return set(annotations)


def _arguments_of_bases(cls: type) -> dict[type, dict[Any, Any]]:
    """Return for each generic base, nearest last, what its type variables stand for within `cls`."""
    result: dict[type, dict[Any, Any]] = {}

    def walk(child: type, known: Mapping[Any, Any]) -> None:
        for alias in getattr(child, "__orig_bases__", ()):
            base = typing.get_origin(alias)
            if not isinstance(base, type) or base is typing.Generic or base in result:
                continue
            arguments = [substituted(argument, known) for argument in typing.get_args(alias)]
            result[base] = dict(zip(getattr(base, "__parameters__", ()), arguments, strict=False))
            walk(base, result[base])

    walk(cls, {})
    return result


def _resolved(target: Any, shown: str, namespace: Any, local: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(
            target, globalns=namespace, localns=dict(local) if local else None, include_extras=True
        )
    except Exception as error:
        raise _unresolved(target, shown, namespace, local, error) from None


def _unresolved(target: Any, shown: str, namespace: Any, local: Mapping[str, Any], error: Exception) -> DefinitionError:
    """Find the annotation that leads nowhere, for the message."""
    annotations: dict[str, Any] = dict(getattr(target, "__annotations__", None) or {})
    if namespace is None:
        namespace = vars(sys.modules.get(target.__module__, typing))
    for name, annotation in annotations.items():
        if not isinstance(annotation, str):
            continue
        try:
            typing.get_type_hints(types.SimpleNamespace(__annotations__={name: annotation}), namespace, dict(local))
        except Exception as reason:
            place = "the result" if name == "return" else f"'{name}'"
            return DefinitionError(
                f"{shown}: the type of {place} is written as {annotation!r} and cannot be resolved ({reason}); "
                "import its names at run time (not under TYPE_CHECKING), or define them at module level"
            )
    return DefinitionError(f"{shown}: its annotations cannot be resolved ({type(error).__name__}: {error})")
