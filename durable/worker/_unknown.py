"""Reports tasks that wait for somebody: for a worker that knows their activity, or, if they are parked, for a person."""

from __future__ import annotations

import logging
from collections.abc import Set

from .._log import offered
from ..errors import StoreError
from ..stores import Store

logger = logging.getLogger("durable.worker")

_INTERVAL_S = 30.0  # such a task may just be early: a worker that knows it may be starting
_TASKS_MAX = 1_000  # looked at each time: enough to find what waits, however long the queue is


async def watch_for_waiting(store: Store, queue: str, known: Set[str]) -> None:
    """Report what waits in `queue`, each thing once. Until cancelled."""
    reported: set[str] = set()
    while (pause_s := store.clock.upkeep_s(_INTERVAL_S)) is not None:
        try:
            await report_waiting(store, queue, known, reported)
        except StoreError as error:
            logger.debug("could not look for tasks that wait: %s", error)
        await store.clock.sleep(pause_s)


async def report_waiting(store: Store, queue: str, known: Set[str], reported: set[str]) -> None:
    """Log each activity that tasks of `queue` wait for and that no live worker offers, and each parked task; not those `reported`."""
    for kind, count in (await unknown_tasks(store, queue, known)).items():
        if kind not in reported:
            reported.add(kind)
            logger.warning(
                "%d tasks of queue %s wait for activity %s, which no running worker knows; "
                "they wait until one does: is it missing in `activities`, or was it renamed?",
                count, queue, kind,
            )  # fmt: skip
    for info in await store.inspect.tasks(queue=queue, parked=True, limit=_TASKS_MAX):
        if info.task.id not in reported:
            reported.add(info.task.id)
            logger.error(
                "task %s of queue %s (activity %s) is parked, and its run waits for you: %s; "
                "see `durable parked inspect`, then release or discard it",
                info.task.id, queue, info.task.kind, info.parked,
            )  # fmt: skip


async def unknown_tasks(store: Store, queue: str, known: Set[str]) -> dict[str, int]:
    """Return how many tasks of `queue` wait for each activity that is neither `known` nor offered by a live worker."""
    found: dict[str, int] = {}
    for info in await store.inspect.tasks(queue=queue, parked=False, limit=_TASKS_MAX):
        if info.claimed_by is None and info.task.kind not in known:
            found[info.task.kind] = found.get(info.task.kind, 0) + 1
    if not found:
        return {}
    for name in (await offered(store, queue)).activities:
        found.pop(name, None)
    return found
