"""What a workflow knows of itself, and its log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .. import _limits
from .._headers import read_headers
from .._runtime import guard
from .._runtime.context import current_run, require_run
from ._attributes import Attributes
from ._memo import Memo


@dataclass(frozen=True, slots=True)
class ParentInfo:
    """The run that started another one as its child. It may have closed since."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as its own code sees it.

    `history_length` counts the events of its history up to the one that the code answers now, and `history_size` is about
    how many bytes they take: both are the same on each replay. `continue_as_new_suggested` becomes true at 10,000 events or 10 MiB:
    a longer history takes noticeable time to replay. `first_run_id` is the first run of the chain, and `continued_from` the run that
    this one continues, or None.

    `version` is that of the workflow at the run's start, or None. `attributes` are those of now, `memo` is what the start gave.
    `parent` is the run that started this one as its child, or None.
    `headers` are those that interceptors gave its start. `replaying` says whether the current step happened
    before: it is for what only observes, and is no part of the run's state; code that decides by it breaks on replay.
    """

    workflow: str
    workflow_id: str
    run_id: str
    queue: str
    started_at: datetime
    history_length: int
    version: str | None
    attributes: Attributes
    memo: Mapping[str, Any]
    parent: ParentInfo | None
    history_size: int
    continue_as_new_suggested: bool
    first_run_id: str
    continued_from: str | None
    headers: Mapping[str, str]
    replaying: bool = field(compare=False)


def info() -> RunInfo:
    """Return what the current run knows of itself. Works in workflow code only."""
    run = require_run("info")
    started = run.started
    parent = started.parent
    return RunInfo(
        workflow=run.spec.name,
        workflow_id=run.workflow_id,
        run_id=run.run_id,
        queue=run.queue,
        started_at=datetime.fromtimestamp(run.started.at / 1000, UTC),
        history_length=run.events_seen,
        version=run.started.version or None,
        attributes=Attributes(run.attributes),
        memo=Memo(run.started.memo, run.codec),
        parent=None if parent is None else ParentInfo(parent.workflow_id, parent.run_id),
        history_size=run.bytes_seen,
        continue_as_new_suggested=run.events_seen >= _limits.HISTORY_EVENTS_SUGGESTED
        or run.bytes_seen >= _limits.HISTORY_BYTES_SUGGESTED,
        first_run_id=started.first_run_id or run.run_id,
        continued_from=started.continued_from or None,
        headers=read_headers(started.headers),
        replaying=run.replaying,
    )


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs what a workflow says once: silent on replay (invariant 5), with the run's ids on every record."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the base class's name
        run = current_run()
        return (run is None or not run.replaying) and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        run = current_run()
        if run is not None:
            ids = {"workflow": run.spec.name, "workflow_id": run.workflow_id, "run_id": run.run_id}
            kwargs["extra"] = {**kwargs.get("extra", {}), **ids}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            with guard.allowed():
                super().log(level, msg, *args, **kwargs)


logger = _RunLogger(logging.getLogger("durable.workflow"), {})
"""The log of workflow code: a standard logger that says nothing twice, named "durable.workflow"."""
