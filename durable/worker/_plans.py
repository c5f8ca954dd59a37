"""What a worker offers, checked, and prepared for running."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, cast

from .._ids import inbox_of
from .._log import ActivityTask
from .._runtime.around import Around
from ..author import Activity, Workflow, collect_activities
from ..codec import Codec
from ..errors import DefinitionError
from ..history import from_raw
from ..interceptors import Interceptor, RunActivityInput
from ._slots import Mode

Execute = Callable[[RunActivityInput], Awaitable[Any]]


class Plan:
    """An activity as this worker runs it: what is the same for all of its attempts. `execute` is its interceptors, if any."""

    __slots__ = (
        "activity",
        "codec",
        "execute",
        "fn",
        "mode",
        "name",
        "queue",
        "raises",
        "signature",
        "what_arguments",
        "what_result",
    )

    def __init__(self, activity: Activity[..., Any], codec: Codec, queue: str, execute: Execute | None = None) -> None:
        self.activity, self.codec, self.queue, self.execute = activity, codec, queue, execute
        self.name, self.fn = activity.name, activity.fn
        self.mode: Mode = activity.mode
        self.raises = activity.options.raises
        self.signature = activity.signature
        self.what_arguments = f"activity {self.name}"
        self.what_result = f"the result of activity {self.name}"

    def arguments(self, task: ActivityTask) -> tuple[Any, dict[str, Any]]:
        """Return (args, kwargs) for the function. Raises `DecodeError`, `DefinitionError` or `DamagedRecordError`."""
        return self.signature.decode_call(self.codec, from_raw(task.args), what=self.what_arguments)


def registered_workflows(
    workflows: Iterable[Any], interceptors: Sequence[Interceptor] = ()
) -> list[Workflow[..., Any]]:
    """Return the workflows, with the interceptors around them.

    Raises `DefinitionError` for what is none, and for two of one name and pinned version.
    """
    found: dict[tuple[str, str], Workflow[..., Any]] = {}
    for item in _items(workflows, "workflows"):
        if not isinstance(item, Workflow):
            hint = "an activity: pass it in `activities`" if isinstance(item, Activity) else _advice(item, "workflow")
            raise DefinitionError(f"workflows: {item!r} is {hint}")
        item.check()
        one = cast("Workflow[..., Any]", item)
        other = found.setdefault((one.name, one.version if one.pinned else ""), one)
        if other is not one:
            raise DefinitionError(
                f"two workflows have the name {one.name!r}: {other!r} and {one!r}; give one @workflow(name=...), "
                'or make them versions, with @workflow(version="...", pinned=True)'
            )
    if not interceptors:
        return list(found.values())
    around = Around(interceptors)
    return [item.within(around) for item in found.values()]


def workflows_by_inbox(workflows: Iterable[Workflow[..., Any]], queue: str) -> dict[str, dict[str, Workflow[..., Any]]]:
    """Return the workflows by the inbox of their runs on `queue`, and by name."""
    found: dict[str, dict[str, Workflow[..., Any]]] = {}
    for item in workflows:
        inbox = inbox_of(queue, item.name, item.version, pinned=item.pinned)
        found.setdefault(inbox, {})[item.name] = item
    return found


def registered_activities(activities: Iterable[Any]) -> dict[str, Activity[..., Any]]:
    """Return the activities by name, out of functions, instances and modules.

    Raises `DefinitionError` for what holds none, for two of one name, and for one that no process of its own could find.
    """
    found: dict[str, Activity[..., Any]] = {}
    for source in _items(activities, "activities"):
        if isinstance(source, Workflow):
            raise DefinitionError(f"activities: {source!r} is a workflow: pass it in `workflows`")
        if getattr(source, "__name__", "") == "<lambda>":
            raise DefinitionError(f"activities: {source!r} is a lambda: write a def and decorate it with @activity")
        for item in collect_activities(source):
            other = found.setdefault(item.name, item)
            if other is not item and not _same(other, item):
                raise DefinitionError(
                    f"two activities have the name {item.name!r}: {other!r} and {item!r}; give one @activity(name=...)"
                )
            if item.mode == "process":
                location(item)
    return found


def location(activity: Activity[..., Any]) -> tuple[str, str]:
    """Return the module and qualified name by which a child process finds `activity`.

    Raises `DefinitionError` if it cannot be found there: it is local to a function, a method of an instance, or hidden.
    """
    module, name = activity.fn.__module__, activity.fn.__qualname__
    try:
        found: object = resolve(module, name)
    except (ImportError, AttributeError):
        found = None
    if found is not activity:
        raise DefinitionError(
            f"a cpu_bound activity runs in another process, which must find it as `{module}.{name}`: define "
            f"{activity!r} at the top of a module, as a function that is not a method"
        )
    return module, name


def resolve(module: str, name: str) -> object:
    """Return what `name` is in `module`, which is imported. Raises `ImportError` or `AttributeError`."""
    found: object = sys.modules.get(module) or import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _same(one: Activity[..., Any], other: Activity[..., Any]) -> bool:
    """Whether two are the same: each look at an instance's method makes a new object."""
    return one.fn == other.fn


def _items(given: Any, what: str) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DefinitionError(f"{what}: expected a list, got {given!r}; write {what}=[...]")
    return list(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _advice(item: object, what: str) -> str:
    if getattr(item, "__name__", "") == "<lambda>":
        return f"a lambda: write an async def and decorate it with @{what}"
    if callable(item):
        return f"a plain function: decorate it with @{what}"
    return f"no {what}"
