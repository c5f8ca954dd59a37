"""Finds workflows and activities by `MODULE[:NAME]`, as a user writes it on the command line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import click

from ._module import is_module_here, load, workflows_of

if TYPE_CHECKING:
    from ..author import Workflow
    from ..interceptors import Interceptor


@dataclass(slots=True)
class Served:
    """What a worker is to serve. `activities` are in the form that `Worker` takes them: one by one, or an instance."""

    workflows: list[Any] = field(default_factory=list[Any])
    activities: list[Any] = field(default_factory=list[Any])


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


def interceptor_of(target: str) -> "Interceptor":
    """Return the interceptor `MODULE:NAME`: an instance, or one made of a class that takes no arguments.

    Raises `click.UsageError` if it is something else.
    """
    from ..interceptors import Interceptor

    module, found = load(target)
    if isinstance(found, type) and issubclass(found, Interceptor):
        try:
            return found()
        except TypeError as error:
            raise click.UsageError(f"{target!r} cannot be made: {error}; name an instance of it") from None
    if not isinstance(found, Interceptor):
        what = f"name one of it, as {target}:NAME" if found is module else f"it is {found!r}"
        raise click.UsageError(f"{target!r} is no durable.Interceptor, nor a class of them: {what}")
    return found


def workflow_of(target: str) -> "Workflow[..., Any]":
    """Return the workflow `MODULE:NAME`. Raises `click.UsageError` if it is something else."""
    from ..author import Workflow

    module, found = load(target)
    if not isinstance(found, Workflow):
        raise click.UsageError(f"{target!r} is no workflow; {workflows_of(module)}")
    return cast("Workflow[..., Any]", found)


def workflow_or_name(target: str) -> "Workflow[..., Any] | str":
    """Return the workflow `MODULE:NAME`, or `target` itself if it is the name of one that is served elsewhere.

    Raises `click.UsageError` if it is a module of the working directory instead: such a run would wait for ever.
    """
    from ..author import Workflow

    if ":" in target:
        return workflow_of(target)
    if not is_module_here(target):
        return target
    try:
        module, _ = load(target)
    except click.ClickException:
        return target
    known: dict[str, Workflow[..., Any]] = {one.name: one for one in vars(module).values() if isinstance(one, Workflow)}
    named = known.get(target)
    if known and named is None:
        raise click.UsageError(
            f"{target!r} is a module: name a workflow of it, as MODULE:WORKFLOW; {workflows_of(module)}"
        )
    return named or target


def message_or_name(target: str, kind: type[Any]) -> Any:
    """Return the signal, query or update `MODULE:NAME`, or `target` itself if it is only a name.

    Raises `click.UsageError` if it is something else.
    """
    if ":" not in target:
        return target

    def those_of(module: ModuleType) -> str:
        names = sorted(name for name, value in vars(module).items() if isinstance(value, kind))
        what = kind.__name__
        return f"of type {what} it has {', '.join(names)}" if names else f"it has nothing of type {what}"

    module, found = load(target, those_of)
    if not isinstance(found, kind):
        raise click.UsageError(f"{target!r} is no {kind.__name__}; {those_of(module)}")
    return found


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
