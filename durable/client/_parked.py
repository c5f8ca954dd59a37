"""Parked tasks: those whose worker vanished each time that one took them up."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._log import ActivityEnded, ActivityTask, ended_entry, read_task
from ..codec import Codec, failure_of, untyped_signature
from ..errors import ActivityError, CodecError, DamagedRecordError
from ..history import from_raw
from ..stores import Store, TaskInfo
from ._description import moment
from ._patience import insist

_SCAN_MAX = 10_000  # parked tasks that are looked through for an id: they are few, or something is badly wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedTask:
    """An attempt of an activity that was taken out of its queue; its run waits. `parked` says why, `deliveries` how often it was tried.

    `args` and `kwargs` are the call's arguments as JSON data; both are None if they, or the whole task, cannot be read.
    """

    id: str
    workflow_id: str
    run_id: str
    workflow: str
    activity: str
    queue: str
    attempt: int
    deliveries: int
    parked: str
    scheduled_at: datetime | None
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None


class Parked:
    """The parked tasks of a store."""

    def __init__(self, store: Store, codec: Codec) -> None:
        self._store, self._codec = store, codec

    async def list(
        self, *, queue: str | None = None, workflow_id: str | None = None, limit: int = 100
    ) -> builtins.list[ParkedTask]:
        """Return up to `limit` parked tasks, oldest first."""
        return [self._shown(info) for info in await self._find(queue, workflow_id, limit)]

    async def inspect(self, task_id: str) -> ParkedTask | None:
        """Return one parked task, or None if it is not parked (any more)."""
        found = (await self._by_id()).get(task_id)
        return None if found is None else self._shown(found)

    async def release(self, *task_ids: str) -> int:
        """Put tasks back into their queue, as if they were new; return how many were still parked."""
        return await insist(self._store.clock, lambda: self._store.inspect.release_parked(task_ids))

    async def discard(self, *task_ids: str) -> int:
        """Give tasks up: for their runs, the activity fails, and is not tried again. Return how many were still parked.

        Raises `DamagedRecordError` for a task that cannot be read, before any is discarded.
        """
        parked = await self._by_id()
        chosen = [parked[task_id] for task_id in dict.fromkeys(task_ids) if task_id in parked]
        entries = [self._given_up(info, read_task(info.task)) for info in chosen]
        ids = [info.task.id for info in chosen]
        return await insist(self._store.clock, lambda: self._store.inspect.discard_parked(ids, entries))

    def _given_up(self, info: TaskInfo, task: ActivityTask) -> Any:
        error = ActivityError(
            f"activity {task.activity!r} was given up by hand: its task had been parked ({info.parked})",
            activity=task.activity,
            attempt=task.attempt,
        )
        ended = ActivityEnded(
            run_id=task.run_id, id=task.id, attempt=task.attempt, failure=failure_of(error, self._codec).as_wire()
        )
        return ended_entry(task.workflow_id, ended)

    async def _by_id(self) -> dict[str, TaskInfo]:
        return {info.task.id: info for info in await self._find(None, None, _SCAN_MAX)}

    async def _find(self, queue: str | None, workflow_id: str | None, limit: int) -> builtins.list[TaskInfo]:
        inspect = self._store.inspect
        return await insist(
            self._store.clock, lambda: inspect.tasks(queue=queue, name=workflow_id, parked=True, limit=limit)
        )

    def _shown(self, info: TaskInfo) -> ParkedTask:
        try:
            task = read_task(info.task)
        except DamagedRecordError:
            task = None
        args, kwargs = (None, None) if task is None else self._arguments(task)
        return ParkedTask(
            id=info.task.id,
            workflow_id=info.task.name,
            run_id=task.run_id if task is not None else "",
            workflow=task.workflow if task is not None else "",
            activity=info.task.kind,
            queue=info.task.queue,
            attempt=task.attempt if task is not None else 0,
            deliveries=info.deliveries,
            parked=info.parked or "",
            scheduled_at=moment(task.scheduled_ms) if task is not None else None,
            args=args,
            kwargs=kwargs,
        )

    def _arguments(self, task: ActivityTask) -> tuple[tuple[Any, ...] | None, dict[str, Any] | None]:
        try:
            args, kwargs = untyped_signature().decode_call(self._codec, from_raw(task.args), what=task.activity)
        except (CodecError, DamagedRecordError):
            return None, None
        return tuple(args), kwargs
