"""What to look for among runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from .._log import Status
from ..author import Workflow
from ..stores import DocumentFilter

STATUSES: tuple[Status, ...] = get_args(Status)


def filter_of(
    *,
    workflow: Workflow[..., Any] | str | None,
    status: Status | Sequence[Status] | None,
    id_prefix: str | None,
    started_after: datetime | None,
    started_before: datetime | None,
    stuck: bool | None,
) -> DocumentFilter:
    """Return the store's filter.

    Raises `ValueError` for an unknown status or a time without a time zone, and `TypeError` for a value of another type.
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
    )


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
