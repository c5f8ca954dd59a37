"""Which versions and patches of the code open runs still need: told from their records, without a look at histories."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from .._ids import DEFAULT_QUEUE, inbox_of
from .._log import RunRecord, offered, read_run
from ..stores import DocumentFilter, Store
from ._patience import insist

_PAGE = 1_000  # records read at once
_EXAMPLES = 10  # run ids kept of each kind: enough to begin to look


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionUse:
    """A version of a workflow on a task queue: how many open runs were started with it, and whether a live worker can go on with them.

    `version` is None for a workflow without one. Of runs that are not `pinned` it is only what they began with: any worker
    that has the workflow goes on with them.
    """

    queue: str
    workflow: str
    version: str | None
    pinned: bool
    open_runs: int
    served: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchUse:
    """A patch of a workflow, and the open runs of that workflow that depend on it.

    - `marked` have recorded `patched(name)`: that call or `deprecate_patch(name)` must stay in the code for them.
    - `deprecated` have recorded `deprecate_patch(name)` only: the call may go.
    - `without` have recorded neither. They may have passed the point before the change, and need the old way; or they have
      not come there yet.

    `marked_ids` and `without_ids` are workflow ids of some of them.
    """

    patch: str
    workflow: str
    marked: int
    deprecated: int
    without: int
    marked_ids: tuple[str, ...]
    without_ids: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    runs: int = 0
    ids: list[str] = field(default_factory=list[str])

    def add(self, run: RunRecord) -> None:
        self.runs += 1
        if len(self.ids) < _EXAMPLES:
            self.ids.append(run.workflow_id)


async def version_uses(store: Store, queue: str | None) -> list[VersionUse]:
    """Return each version that an open run or a live worker has, on `queue` or on every queue of open runs; sorted."""
    runs: Counter[tuple[str, str, str, bool]] = Counter()
    async for run in open_runs(store):
        if queue is None or run.queue == queue:
            runs[run.queue, run.workflow, run.body.version, run.pinned] += 1
    queues = {key[0] for key in runs} | {DEFAULT_QUEUE if queue is None else queue}
    served: set[str] = set()
    unpinned: set[tuple[str, str]] = set()
    for place in queues:
        there = await insist(store.clock, partial(offered, store, place))
        served |= there.inboxes
        unpinned |= {(place, name) for name in there.workflows}
        for name, version in there.pinned:
            runs[place, name, version, True] += 0
    known = {key[:2] for key in runs if not key[3]}
    for place, name in unpinned - known:
        runs[place, name, "", False] += 0
    return [
        VersionUse(
            queue=place,
            workflow=name,
            version=version or None,
            pinned=pinned,
            open_runs=count,
            served=inbox_of(place, name, version, pinned=True) in served if pinned else (place, name) in unpinned,
        )
        for (place, name, version, pinned), count in sorted(runs.items())
    ]


async def patch_uses(store: Store) -> list[PatchUse]:
    """Return each patch that an open run has recorded, sorted by workflow and name."""
    marked: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    deprecated: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    # Runs with the same patches are alike: so this needs memory for the kinds of runs, not for each run.
    groups: dict[tuple[str, frozenset[str]], _Tally] = defaultdict(_Tally)
    async for run in open_runs(store):
        patches = {*run.body.patches, *run.body.deprecated_patches}
        groups[run.workflow, frozenset(patches)].add(run)
        for name in patches:
            (marked if name in run.body.patches else deprecated)[run.workflow, name].add(run)
    return [
        _patch_use(workflow, name, marked[workflow, name], deprecated[workflow, name], groups)
        for workflow, name in sorted({*marked, *deprecated})
    ]


def _patch_use(
    workflow: str,
    name: str,
    marked: _Tally,
    deprecated: _Tally,
    groups: dict[tuple[str, frozenset[str]], _Tally],
) -> PatchUse:
    without = [tally for (kind, patches), tally in groups.items() if kind == workflow and name not in patches]
    return PatchUse(
        patch=name,
        workflow=workflow,
        marked=marked.runs,
        deprecated=deprecated.runs,
        without=sum(tally.runs for tally in without),
        marked_ids=tuple(marked.ids),
        without_ids=tuple([each for tally in without for each in tally.ids][:_EXAMPLES]),
    )


async def open_runs(store: Store) -> AsyncIterator[RunRecord]:
    """Yield the records of all runs that are open, newest first. Those that begin meanwhile are left out."""
    before: str | None = None
    while True:
        wanted = DocumentFilter(states=("running",), before_id=before)
        page = await insist(store.clock, partial(store.inspect.documents, wanted, limit=_PAGE))
        for _, document in page:
            yield read_run(document)
        if len(page) < _PAGE:
            return
        before = page[-1][1].id
