"""Finds workflows and activities by `MODULE[:NAME]`, as a user writes it on the command line."""

import importlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from ..author import Workflow


@dataclass(slots=True)
class Served:
    """What a worker is to serve. `activities` are in the form that `Worker` takes them: one by one, or an instance."""

    workflows: list[Any] = field(default_factory=list[Any])
    activities: list[Any] = field(default_factory=list[Any])


def load(target: str) -> tuple[ModuleType, object]:
    """Import the module of `MODULE[:NAME]`, from the working directory too; return it, and the named object or itself.

    Raises `click.UsageError` that says which part was not found. What the module itself raises passes through.
    """
    module_name, colon, name = target.partition(":")
    if not module_name or (colon and not name):
        raise click.UsageError(f"expected MODULE or MODULE:NAME, got {target!r}")
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").replace(os.sep, ".").strip(".")
        raise click.UsageError(
            f"expected the name of a module, as in an import, got the path {module_name!r}; try {dotted!r}"
        )
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        # Only if it is the named module (or a package above it) that is missing, not one that it imports.
        if missing.name and (module_name == missing.name or module_name.startswith(f"{missing.name}.")):
            raise click.UsageError(
                f"there is no module {module_name!r} in {here} or among the installed packages"
            ) from None
        raise
    found: object = module
    for part in name.split(".") if name else ():
        try:
            found = getattr(found, part)
        except AttributeError:
            raise click.UsageError(f"the module {module_name!r} has no {name!r}; {_known(module)}") from None
    return module, found


def served_by(target: str) -> Served:
    """Return what `MODULE[:NAME]` holds: all that is decorated in the module, or the named object, list, class or instance.

    Raises `click.UsageError` if there is nothing to serve.
    """
    module, found = load(target)
    served = Served()
    _collect(list(vars(module).values()) if found is module else [found], served, strict=found is not module)
    if not served.workflows and not served.activities:
        raise click.UsageError(f"{target!r} has no function marked @workflow or @activity")
    return served


def workflow_of(target: str) -> "Workflow[..., Any]":
    """Return the workflow `MODULE:NAME`. Raises `click.UsageError` if it is something else."""
    from ..author import Workflow

    module, found = load(target)
    if not isinstance(found, Workflow):
        raise click.UsageError(f"{target!r} is no workflow; {_known(module)}")
    return cast("Workflow[..., Any]", found)


def _collect(values: Iterable[object], served: Served, *, strict: bool) -> None:
    """Add what is to be served among `values`. `strict`: what is not is refused, not passed over."""
    from ..author import Activity, Workflow
    from ..author import collect_activities as activities_in

    for value in values:
        if isinstance(value, Workflow):
            _add(served.workflows, cast("object", value))
        elif isinstance(value, Activity):
            _add(served.activities, cast("object", value))
        elif strict and isinstance(value, list | tuple | set | frozenset):
            _collect(cast("Iterable[object]", value), served, strict=True)
        elif strict:
            instance: object = value() if isinstance(value, type) else value
            for activity in activities_in(instance):
                _add(served.activities, activity)


def _add(found: list[Any], value: object) -> None:
    """Add `value` unless it is there: a module may know one function under two names."""
    if not any(value is other for other in found):
        found.append(value)


def _known(module: ModuleType) -> str:
    """Return the workflows of `module` as a hint."""
    from ..author import Workflow

    names = sorted(name for name, value in vars(module).items() if isinstance(value, Workflow))
    return f"its workflows are {', '.join(names)}" if names else "it has no workflows"
