"""Reports what waits for somebody: tasks for a worker that knows their activity or, if they are parked, for a person, and runs
for a worker of the version that they are pinned to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set

from .._ids import pinned_version_of, queue_of
from .._log import offered
from ..errors import StoreError
from ..stores import DocumentFilter, Store, TaskInfo

logger = logging.getLogger("durable.worker")

_INTERVAL_S = 30.0  # such a task may just be early: a worker that knows it may be starting
_TASKS_MAX = 1_000  # looked at each time: enough to find what waits, however long the queue is


async def watch_for_waiting(
    store: Store, queue: str, known: Set[str], look: Callable[[Sequence[TaskInfo]], None]
) -> None:
    """Report what waits in `queue`, each thing once, and let `look` see the tasks at its front. Until cancelled."""
    reported, unserved = set[str](), set[str]()
    while (pause_s := store.clock.upkeep_s(_INTERVAL_S)) is not None:
        try:
            look(await store.inspect.tasks(queue=queue, parked=False, limit=_TASKS_MAX))
            await report_waiting(store, queue, known, reported)
            await report_unserved(store, queue, unserved)
        except StoreError as error:
            logger.debug("could not look for tasks that wait: %s", error)
        await store.clock.sleep(pause_s)


async def report_waiting(store: Store, queue: str, known: Set[str], reported: set[str]) -> None:
    """Log each activity that tasks of `queue` wait for and that no live worker offers, and each parked task; not those `reported`."""
    for kind, count in (await unknown_tasks(store, queue, known)).items():
        if kind not in reported:
            reported.add(kind)
            offers = ", ".join(sorted(known | (await offered(store, queue)).activities)) or "none"
            logger.warning(
                "%d tasks of queue %s wait for activity %s, which no running worker knows (they know: %s); "
                "they wait until one does: is it missing in `activities`, or was it renamed?",
                count, queue, kind, offers,
            )  # fmt: skip
    for info in await store.inspect.tasks(queue=queue, parked=True, limit=_TASKS_MAX):
        if info.task.id not in reported:
            reported.add(info.task.id)
            logger.error(
                "task %s of queue %s (activity %s) is parked, and its run waits for you: %s; "
                "see `durable parked inspect`, then release or discard it",
                info.task.id, queue, info.task.kind, info.parked,
            )  # fmt: skip


async def report_unserved(store: Store, queue: str, reported: set[str]) -> None:
    """Log each pinned version that open runs of `queue` wait for and that no live worker serves; not those `reported`."""
    counts = await store.inspect.count_documents(DocumentFilter(states=("running",)), by="inbox")
    waiting = {inbox: pinned for inbox in counts if queue_of(inbox) == queue and (pinned := pinned_version_of(inbox))}
    if not waiting:
        return
    served = (await offered(store, queue)).inboxes
    reported.difference_update(served)  # should it be gone again later, that is news
    for inbox, (workflow, version) in sorted(waiting.items()):
        if inbox not in served and inbox not in reported:
            reported.add(inbox)
            logger.warning(
                "%d open runs of queue %s wait for version %s of workflow %s, which no running worker serves; "
                "they are pinned to it and wait until one does; see `durable versions`",
                counts[inbox], queue, version, workflow,
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
