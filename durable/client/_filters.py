"""What to look for among runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast, get_args

from .._log import Status
from ..author import Attribute, AttributeCondition, Workflow, stored_attributes
from ..stores import Condition, DocumentFilter
from ._description import RunDescription

STATUSES: tuple[Status, ...] = get_args(Status)


def filter_of(
    *,
    workflow: Workflow[..., Any] | str | None,
    status: Status | Sequence[Status] | None,
    id_prefix: str | None,
    started_after: datetime | None,
    started_before: datetime | None,
    stuck: bool | None,
    attributes: Mapping[Attribute[Any], Any] | Sequence[AttributeCondition] | None = None,
    before: RunDescription | str | None = None,
) -> DocumentFilter:
    """Return the store's filter.

    Raises `ValueError` for an unknown status or a time without a time zone, and `TypeError` or `InvalidCallError` for a value of
    another type.
    """
    statuses = (status,) if isinstance(status, str) else tuple(status or ())
    for each in statuses:
        if each not in STATUSES:
            raise ValueError(f"unknown status {each!r}; expected one of {', '.join(STATUSES)}")
    name = workflow.name if isinstance(workflow, Workflow) else workflow
    if name is not None and not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - as below
        raise TypeError(f"workflow: expected a workflow or its name, got {workflow!r}")
    if id_prefix is not None and not isinstance(id_prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise TypeError(f"id_prefix: expected text, got {id_prefix!r}")
    if stuck is not None and not isinstance(stuck, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"stuck: expected True, False or None, got {stuck!r}")
    return DocumentFilter(
        name_prefix=id_prefix,
        kinds=() if name is None else (name,),
        states=statuses,
        noted=stuck,
        created_after_ms=_ms(started_after, "started_after"),
        created_before_ms=_ms(started_before, "started_before"),
        before_id=_run_id(before),
        attributes=conditions_of(attributes),
    )


def conditions_of(given: object) -> tuple[Condition, ...]:
    """Return the store's conditions for values or conditions of attributes. Raises `TypeError`, or `InvalidCallError` for a value."""
    if given is None:
        return ()
    if isinstance(given, Mapping):
        values = stored_attributes(cast("Mapping[object, object]", given))
        return tuple(_holds(name, value) for name, value in values.items() if value is not None)
    conditions: list[Condition] = []
    if isinstance(given, AttributeCondition) or not isinstance(given, Sequence):
        raise TypeError(f"attributes: expected a list of conditions or {{Attribute: value}}, got {given!r}")
    for item in cast("Sequence[object]", given):
        if not isinstance(item, AttributeCondition):
            raise TypeError(f'attributes: expected a condition like `customer == "ada"`, got {item!r}')
        conditions.append(Condition(item.name, cast("Any", item.op), item.value))
    return tuple(conditions)


def _holds(name: str, value: object) -> Condition:
    return Condition(name, "=", cast("Any", value))


def _run_id(before: object) -> str | None:
    if before is None or isinstance(before, str):
        return before
    if not isinstance(before, RunDescription):
        raise TypeError(f"before: expected a run from `list` or its run id, got {before!r}")
    return before.run_id


def _ms(when: datetime | None, what: str) -> int | None:
    if when is None:
        return None
    if not isinstance(when, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{what}: expected a datetime with a time zone, got {when!r}")
    if when.tzinfo is None:
        raise ValueError(
            f"{what}: expected a time with a time zone, got {when!r}; write datetime.now(UTC), for instance"
        )
    return round(when.timestamp() * 1000)
