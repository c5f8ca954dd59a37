"""Whether all is well with a store, its workers and its runs: what `durable doctor` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .._ids import DEFAULT_QUEUE, pinned_version_of, queue_of
from .._log import Offer, offered, session_groups, session_offers
from ..stores import DocumentFilter, Finding, Lease, Level, Store, TaskInfo, checks_of
from ._patience import insist

_LAG_MS_MAX = 30_000  # a message or a due that has waited so long waits for something else than its turn
_SKEW_MS_MAX = 1_000  # leases are seconds; ids and start times of different machines would be visibly out of order
_FRONT = 200  # entries and dues looked at: those of stuck runs stay in front
_SHOWN_MAX = 5  # examples named in a finding
_TASKS_MAX = 10_000
_STUCK_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """A live worker: where it runs, and what it offers on `queue`. `pid` is 0 for one whose version says it in another way."""

    session: str
    queue: str
    host: str
    pid: int
    workflows: tuple[str, ...]
    activities: tuple[str, ...]
    lacks: tuple[str, ...]  # workflows of runs that it met and does not know

    @property
    def name(self) -> str:
        """Host and process, as people call it."""
        return f"{self.host}:{self.pid}" if self.pid else self.session


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionHealth:
    """A partition of a queue, or of a pinned version of a workflow on it (`inbox` names both): who owns it, and how far that is behind.

    `unread_ms` is how long the oldest message waits that is for a run which can go on, `overdue_ms` the same for the first
    timer or retry; 0 if nothing waits. They are None if the store does not know when messages came.
    """

    partition: int
    queue: str
    inbox: str
    owner: str | None
    unread_ms: int | None
    overdue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `Client.health` found. `ok` is False if something needs attention; `skew_ms` is how far the store's clock is ahead of this machine's."""

    store: str
    partitions_total: int
    skew_ms: int
    runs: dict[str, int]  # by status
    counts: dict[str, int]  # entries of each kind
    workers: tuple[WorkerHealth, ...]
    partitions: tuple[PartitionHealth, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing needs attention: no finding is a warning or a problem."""
        return not any(finding.level in ("warning", "problem") for finding in self.findings)


async def health(store: Store) -> Health:
    """See `Client.health`."""
    return await insist(store.clock, lambda: _Look(store).all())


class _Look:
    def __init__(self, store: Store) -> None:
        self._store, self._inspect = store, store.inspect
        self._findings: list[Finding] = []
        self._stuck_names: set[str] = set()
        self._stuck_ids: set[str] = set()
        self._live: set[str] = set()  # sessions of workers

    async def all(self) -> Health:
        store, inspect = self._store, self._inspect
        skew_ms = store.now_ms() - store.clock.now_ms()
        open_runs = await inspect.count_documents(DocumentFilter(states=("running",)), by="inbox")
        tasks = await inspect.tasks(limit=_TASKS_MAX)
        queues = sorted({DEFAULT_QUEUE, *map(queue_of, open_runs)} | {info.task.queue for info in tasks})
        workers = [worker for queue in queues for worker in await self._workers(queue)]
        self._live = {worker.session for worker in workers}
        self._clock(skew_ms)
        await self._stuck()
        partitions = [
            await self._partition(inbox, number, owners, {worker.session: worker.name for worker in workers})
            for inbox in sorted(open_runs)
            for owners in [await store.holders(inbox)]
            for number in range(store.partitions)
        ]
        self._unowned(partitions)
        self._lags(partitions)
        for queue in queues:
            await self._offers(queue, open_runs)
        self._claims(tasks)
        await self._parked()
        self._findings += await checks_of(store)
        order = ("problem", "warning", "note", "ok")
        return Health(
            store=store.url,
            partitions_total=store.partitions,
            skew_ms=skew_ms,
            runs=await inspect.count_documents(DocumentFilter()),
            counts=await inspect.counts(),
            workers=tuple(workers),
            partitions=tuple(partitions),
            findings=tuple(sorted(self._findings, key=lambda finding: order.index(finding.level))),
        )

    def _found(self, level: Level, check: str, what: str, advice: str = "") -> None:
        self._findings.append(Finding(level, check, what, advice))

    def _clock(self, skew_ms: int) -> None:
        text = f"the store's clock and this machine's differ by {abs(skew_ms):,} ms"
        if abs(skew_ms) > _SKEW_MS_MAX:
            self._found("warning", "clock", text, "let both machines follow a time server (chrony, systemd-timesyncd)")
        else:
            self._found("ok", "clock", text)

    async def _workers(self, queue: str) -> list[WorkerHealth]:
        found: list[WorkerHealth] = []
        for group in session_groups(queue):
            for session, offer in (await session_offers(self._store, group)).items():
                found.append(_worker(session, queue, offer))
        return found

    async def _stuck(self) -> None:
        found = await self._inspect.documents(DocumentFilter(states=("running",), noted=True), limit=_STUCK_MAX)
        self._stuck_names = {document.name for _, document in found}
        self._stuck_ids = {document.id for _, document in found}
        if not found:
            self._found("ok", "stuck runs", "no run is stuck")
            return
        reasons = Counter(document.note.splitlines()[0][:200] for _, document in found)
        for reason, runs in reasons.most_common(_SHOWN_MAX):
            ids = [document.name for _, document in found if document.note.splitlines()[0][:200] == reason]
            advice = (
                "see `durable show ID`; put the code right or start a worker that has it, and they go on by themselves"
            )
            self._found("problem", "stuck runs", f"{runs:,} cannot go on ({_some(ids)}): {reason}", advice)

    async def _partition(
        self, inbox: str, number: int, owners: dict[int, str], names: dict[str, str]
    ) -> PartitionHealth:
        store, reader = self._store, Lease(number, inbox, "", 0)  # reading needs no lease
        now_ms = store.now_ms()
        (entries,) = await store.read_inboxes([(reader, 0)], _FRONT)
        waiting = [entry.at_ms for entry in entries if entry.name not in self._stuck_names]
        unread_ms: int | None = 0
        if waiting:
            unread_ms = max(0, now_ms - waiting[0]) if waiting[0] else None
        dues = await store.read_dues(reader, until_ms=now_ms, limit=_FRONT)
        overdue = [due.due_ms for due in dues if due.key.partition("/")[0] not in self._stuck_ids]
        owner = owners.get(number)
        return PartitionHealth(
            partition=number,
            queue=queue_of(inbox),
            inbox=inbox,
            owner=None if owner is None else names.get(owner, owner),
            unread_ms=unread_ms,
            overdue_ms=max(0, now_ms - overdue[0]) if overdue else 0,
        )

    def _unowned(self, partitions: Iterable[PartitionHealth]) -> None:
        for inbox in dict.fromkeys(each.inbox for each in partitions):
            free = [each.partition for each in partitions if each.inbox == inbox and each.owner is None]
            if free:
                self._found(
                    "problem", "owners", f"{len(free)} partitions of {_shown(inbox)} have no owner: {_some(map(str, free))}",
                    "its runs do not move: start a worker for it. If one runs, see its log; leases of a dead worker are free within seconds",
                )  # fmt: skip
            else:
                self._found("ok", "owners", f"all partitions of {_shown(inbox)} have an owner")

    def _lags(self, partitions: Iterable[PartitionHealth]) -> None:
        late = [p for p in partitions if p.owner is not None and max(p.unread_ms or 0, p.overdue_ms) > _LAG_MS_MAX]
        for each in late[:_SHOWN_MAX]:
            behind_s = max(each.unread_ms or 0, each.overdue_ms) / 1000
            self._found(
                "warning", "lag", f"partition {each.partition} of {_shown(each.inbox)} is {behind_s:,.0f} s behind (owner: {each.owner})",
                "is that worker at its limit, or blocked by workflow code (its log says so)? More workers share the partitions",
            )  # fmt: skip
        if not late:
            self._found("ok", "lag", "no owner is behind")

    async def _offers(self, queue: str, open_runs: dict[str, int]) -> None:
        there = await offered(self._store, queue)
        for inbox, runs in sorted(open_runs.items()):
            pinned = pinned_version_of(inbox)
            if queue_of(inbox) == queue and pinned is not None and inbox not in there.inboxes:
                self._found(
                    "problem", "versions", f"{runs:,} open runs wait for version {pinned[1]} of workflow {pinned[0]} on queue {queue}, "
                    "which no live worker serves",
                    "start a worker with that version, or terminate the runs; see `durable versions`",
                )  # fmt: skip
        if queue in open_runs:
            kinds = await self._inspect.count_documents(
                DocumentFilter(states=("running",), inboxes=(queue,)), by="kind"
            )
            for kind, runs in sorted(kinds.items()):
                if kind not in there.workflows:
                    self._found(
                        "problem", "workflows", f"{runs:,} open runs of queue {queue} are of workflow {kind}, which no live worker knows",
                        "start a worker that has it, or terminate the runs",
                    )  # fmt: skip
        tasks = await self._inspect.tasks(queue=queue, parked=False, limit=_TASKS_MAX)
        waiting = Counter(info.task.kind for info in tasks if info.claimed_by not in self._live)
        for kind, number in sorted(waiting.items()):
            if kind not in there.activities:
                self._found(
                    "problem", "activities", f"{number:,} tasks of queue {queue} wait for activity {kind}, which no live worker knows",
                    "is it missing in `activities=[...]`, was it renamed, or does its worker serve another queue?",
                )  # fmt: skip

    def _claims(self, tasks: Iterable[TaskInfo]) -> None:
        """Look for tasks that workers hold which are gone: others take them over as soon as one asks."""
        held = [info for info in tasks if info.claimed_by is not None and info.claimed_by not in self._live]
        if held:
            names = dict.fromkeys(f"{info.task.kind} on queue {info.task.queue}" for info in held)
            self._found(
                "warning", "claims", f"{len(held):,} tasks are with workers that are gone (activities: {_some(names)})",
                "live workers of the queue take them over within seconds: if they stay, start one that has the activity",
            )  # fmt: skip
        else:
            self._found("ok", "claims", "no task is with a worker that is gone")

    async def _parked(self) -> None:
        parked = await self._inspect.tasks(parked=True, limit=_TASKS_MAX)
        if parked:
            names = dict.fromkeys(info.task.kind for info in parked)
            self._found(
                "problem", "parked tasks", f"{len(parked):,} tasks killed their worker each time, and are parked (activities: {_some(names)})",
                "see `durable parked list`; release them once the cause is gone, or discard them",
            )  # fmt: skip
        else:
            self._found("ok", "parked tasks", "no task is parked")


def _worker(session: str, queue: str, offer: Offer | None) -> WorkerHealth:
    if offer is None:
        return WorkerHealth(session=session, queue=queue, host="", pid=0, workflows=(), activities=(), lacks=())
    pinned = [f"{found[0]} ({found[1]})" for inbox in offer.inboxes if (found := pinned_version_of(inbox)) is not None]
    lacks = {name for needs in offer.needs.values() for names in needs.values() for name in names}
    return WorkerHealth(
        session=session,
        queue=queue,
        host=offer.host,
        pid=offer.pid,
        workflows=tuple(sorted([*offer.workflows, *pinned])),
        activities=tuple(offer.activities),
        lacks=tuple(sorted(lacks)),
    )


def _shown(inbox: str) -> str:
    pinned = pinned_version_of(inbox)
    return f"queue {inbox}" if pinned is None else f"version {pinned[1]} of {pinned[0]} on queue {queue_of(inbox)}"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN_MAX:,} more" if len(every) > _SHOWN_MAX else ""
    return ", ".join(every[:_SHOWN_MAX]) + more
