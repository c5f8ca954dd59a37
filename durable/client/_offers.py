"""Which workers are there for a run: what people want to know of one that does not go on."""

from collections.abc import Iterable

from .._log import offered
from ..stores import Store
from ._patience import insist


async def absent_workers(store: Store, queue: str, workflow: str, activities: Iterable[tuple[str, str]]) -> list[str]:
    """Return what no live worker offers, each as a phrase: `workflow` on `queue`, and each of `activities` (queue, name)."""
    needed = {(queue, "workflow", workflow)} | {(place, "activity", name) for place, name in activities}
    found: list[str] = []
    for place in sorted({place for place, _, _ in needed}):
        there = await insist(store.clock, lambda place=place: offered(store, place))  # type: ignore[misc]
        known = {("workflow", name) for name in there.workflows} | {("activity", name) for name in there.activities}
        missing = sorted((kind, name) for where, kind, name in needed if where == place and (kind, name) not in known)
        found += [f"no running worker of queue {place} knows {kind} {name}" for kind, name in missing]
    return found
