"""Which workers are there for a run: what people want to know of one that does not go on."""

from collections.abc import Iterable
from functools import partial

from .._log import offered
from ..stores import Store
from ._patience import insist


async def absent_workers(
    store: Store, queue: str, workflow: str, activities: Iterable[tuple[str, str]], *, pinned: str | None = None
) -> list[str]:
    """Return what no live worker offers, each as a phrase.

    That is `workflow` on `queue` (if the run is `pinned` to a version, that version), and each of `activities` (queue, name).
    """
    runs = (queue, "workflow", workflow) if pinned is None else (queue, f"version {pinned} of workflow", workflow)
    needed = {runs} | {(place, "activity", name) for place, name in activities}
    found: list[str] = []
    for place in sorted({place for place, _, _ in needed}):
        there = await insist(store.clock, partial(offered, store, place))
        known = {("workflow", name) for name in there.workflows} | {("activity", name) for name in there.activities}
        known |= {(f"version {version} of workflow", name) for name, version in there.pinned}
        missing = sorted((kind, name) for where, kind, name in needed if where == place and (kind, name) not in known)
        found += [f"no running worker of queue {place} knows {kind} {name}" for kind, name in missing]
    return found
