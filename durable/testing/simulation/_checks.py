"""The invariants of DESIGN §2, checked on the store's state after every commit, independently of the engine and of the store's own checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from hashlib import blake2b

from ..._log import ended_entry_id, outgoing_key, task_id
from ...errors import DurableError
from ...history import WIRE
from ...stores import Commit, Entry, Lease
from ...stores.memory import State
from ._runs import RunModel

_EVER_MS, _ALL = 10**15, 10**9
_KNOWN = ("runs", "_epochs", "_consumed", "_digests", "_applied", "_reported", "_open")


class Checker:
    """Follows all commits of a simulation. What is wrong goes to `broken(invariant, text)`.

    `early_ms` is how much earlier than it is due a timer may fire.
    """

    def __init__(self, state: State, broken: Callable[[str, str], None], *, early_ms: int = 0) -> None:
        self._state, self._broken, self._early_ms = state, broken, early_ms
        self.runs: dict[str, RunModel] = {}
        self._epochs: dict[tuple[int, str], int] = {}
        self._consumed: dict[tuple[int, str, int], str] = {}  # by partition, inbox and seq: the id of the commit
        self._digests: dict[str, bytes] = {}
        self._applied: set[str] = set()
        self._before: list[tuple[object, ...]] = []
        self._open: dict[str, str] = {}  # the open run of each workflow id
        self._reported: set[str] = set()  # ends of activities that were told by somebody outside
        self._lost_messages: set[str] = set()  # what runs asked for before the store forgot it; may be on its way

    def known(self) -> dict[str, object]:
        """Return a copy of all that is known of the store, for `fall_back`."""
        return deepcopy({name: getattr(self, name) for name in _KNOWN})

    def fall_back(self, known: dict[str, object]) -> None:
        """The store has fallen back to the state in which `known` was known."""
        for run in self.runs.values():
            self._lost_messages.update(run.asked)
            if run.closed:
                self._lost_messages.add(outgoing_key(run.run_id, 0, "ended"))
        for name, value in known.items():
            setattr(self, name, value)

    def acquired(self, leases: Sequence[Lease]) -> None:
        """These leases were given out: they fence out all before."""
        for lease in leases:
            place = lease.partition, lease.inbox
            if lease.epoch <= self._epochs.get(place, 0):
                self._broken("1 single writer", f"the lease of {place} was given out again as epoch {lease.epoch}")
            self._epochs[place] = lease.epoch

    def arrives(self, entry: Entry) -> None:
        """A message comes to an inbox: one of another run must be in that run's history."""
        self._reported.add(entry.id)
        if entry.id in self._lost_messages:
            return
        if entry.id.endswith("/0/ended"):
            child = self.runs.get(entry.id.removesuffix("/0/ended"))
            if child is None or not child.closed:
                self._broken("3 outbox", f"the end of a child was sent as {entry.id!r}, and no commit had closed it")
            return
        run_id, _, number = entry.id.removesuffix("/out").rpartition("/")
        if not entry.id.endswith("/out") or not number.isdecimal():
            return  # a caller's; nobody but users makes up their ids
        run = self.runs.get(run_id)
        if run is None or entry.id not in run.asked:
            self._broken("3 outbox", f"the message {entry.id!r} was sent, and no commit asked for it")

    def before_commit(self, commits: Sequence[Commit]) -> None:
        """Remember what a refused commit must leave as it is."""
        self._before = [self._size(commit) for commit in commits]
        for commit in commits:
            for append in commit.appends:
                self._check_untouched(commit.lease.partition, append.stream)

    def after_commit(self, commits: Sequence[Commit], answers: Sequence[Exception | None]) -> None:
        """The store has answered."""
        for commit, before, answer in zip(commits, self._before, answers, strict=True):
            if answer is not None:
                if self._size(commit) != before and len(commits) == 1:
                    self._broken("2 atomic", f"commit {commit.id} was refused ({answer}) and has written")
            elif commit.id in self._applied:
                continue  # a repeat, answered as the first time
            else:
                self._applied.add(commit.id)
                self._applied_once(commit)

    def _applied_once(self, commit: Commit) -> None:
        lease = commit.lease
        current = self._epochs.get((lease.partition, lease.inbox), 0)
        if lease.epoch != current:
            self._broken("1 single writer", f"commit {commit.id} of epoch {lease.epoch} was applied at epoch {current}")
        for seq in commit.consumed:
            if (earlier := self._consumed.setdefault((lease.partition, lease.inbox, seq), commit.id)) != commit.id:
                self._broken("2 atomic", f"message {seq} was consumed by commit {earlier} and again by {commit.id}")
        touched = set[str]()
        for append in commit.appends:
            run = self.runs.setdefault(append.stream, RunModel(append.stream, lease.partition, early_ms=self._early_ms))
            touched.add(append.stream)
            if run.seq != append.expected:
                self._broken(
                    "1 single writer", f"{append.stream} was at {run.seq}, an append expected {append.expected}"
                )
            for record in append.records:
                self._take(run, record)
        self._check_ids([self.runs[append.stream] for append in commit.appends])
        for task in [*(task.id for task in commit.tasks), *(due.key for due in commit.dues)]:
            touched.add(task.partition("/")[0])
        for run_id in sorted(touched):
            if (found := self.runs.get(run_id)) is not None:
                self.check_run(found)

    def _check_ids(self, touched: Sequence[RunModel]) -> None:
        """At most one run of a workflow id is open."""
        for run in touched:
            run.order = run.order or len(self._applied)
            if run.closed and self._open.get(run.workflow_id) == run.run_id:
                del self._open[run.workflow_id]
        for run in touched:
            other = run.run_id if run.closed else self._open.setdefault(run.workflow_id, run.run_id)
            if other != run.run_id:
                self._broken("workflow ids", f"two runs of {run.workflow_id} are open: {other} and {run.run_id}")

    def _take(self, run: RunModel, record: bytes) -> None:
        digest = blake2b(self._digests.get(run.run_id, b""), digest_size=16)
        digest.update(record)
        self._digests[run.run_id] = digest.digest()
        try:
            problem = run.add(WIRE.decode(record))
        except DurableError as error:
            problem = str(error)
        if problem:
            self._broken("4 delivery order", f"{run.workflow_id} ({run.run_id}): {problem}: {record.decode()[:300]}")

    def _check_untouched(self, partition: int, stream: str) -> None:
        stored = len(self._state.partitions[partition].streams.get(stream, ()))
        run = self.runs.get(stream)
        if stored != (run.seq if run is not None else 0):
            self._broken("1 single writer", f"{stream} holds {stored} events, not all by a commit")

    def check_run(self, run: RunModel) -> None:
        """What is pending by a run's history is what the store has for it, neither more nor less."""
        here = self._state.partitions[run.partition]
        prefix = run.run_id + "/"
        tasks = {id_ for id_ in self._state.tasks if id_.startswith(prefix)}
        dues = {
            due.key for inbox in here.dues.values() for due in inbox.until(_EVER_MS, _ALL) if due.key.startswith(prefix)
        }
        sent = {id_ for outbox in here.outgoing.values() for id_ in outbox if id_.startswith(prefix)}
        wanted_dues = {f"{run.run_id}/{number}/timer" for number in run.timers}
        for number, attempt in run.activities.items():
            id_, retry = task_id(run.run_id, number, attempt), f"{run.run_id}/{number}/retry"
            message = ended_entry_id(run.run_id, number, attempt)
            told = message in here.entry_ids or f"{message}/deferred" in here.entry_ids
            places = [id_ in tasks, attempt > 1 and retry in dues, told]
            expected = {1}
            if number in run.deferred:
                expected = {0, int(places[2])}  # with nobody here, or reported
            elif message in self._reported:
                expected = {1, 2}  # maybe before the attempt has returned
            if sum(places) not in expected:
                where = [n for n, there in zip(("a task", "a retry", "a message"), places, strict=True) if there]
                self._wrong(run, f"activity {number}, attempt {attempt} is {where or 'nowhere'}")
            tasks.discard(id_)
            kinds = ["retry", "total", "queue", *(["cancel"] if number in run.stopping else [])]
            if number in run.deferred:
                kinds.append("heartbeat")
                wanted_dues |= {f"{run.run_id}/{number}/attempt"} if number in run.timed else set()
            wanted_dues |= {key for kind in kinds if (key := f"{run.run_id}/{number}/{kind}") in dues}
        if not run.closed:
            wanted_dues |= {key for key in dues if key == f"{run.run_id}/timeout"}
        if tasks:
            self._wrong(run, f"there are tasks that no pending activity asked for: {sorted(tasks)}")
        if dues != wanted_dues:
            self._wrong(run, f"dues: there are {sorted(dues)}, wanted are {sorted(wanted_dues)}")
        missing = set(run.outgoing.values()) - sent
        if missing:
            self._wrong(run, f"nothing is in the outbox for {sorted(missing)}")

    def _wrong(self, run: RunModel, text: str) -> None:
        state = run.closed or "running"
        self._broken("2 atomic", f"{run.workflow_id} ({run.run_id}, {state}, event {run.seq}): {text}")

    def check_histories(self) -> None:
        """Every stored history is what the commits have written, record by record."""
        for partition, here in enumerate(self._state.partitions):
            for stream, records in here.streams.items():
                digest = b""
                for record in records:
                    digest = blake2b(digest + record, digest_size=16).digest()
                if digest != self._digests.get(stream):
                    self._broken(
                        "1 single writer", f"the history {stream} in partition {partition} is not what was committed"
                    )

    def _size(self, commit: Commit) -> tuple[object, ...]:
        here, inbox = self._state.partitions[commit.lease.partition], commit.lease.inbox
        streams = tuple(len(here.streams.get(append.stream, ())) for append in commit.appends)
        dues, sent = here.dues.get(inbox), here.outgoing.get(inbox, {})
        return streams, len(here.entry_ids), len(self._state.tasks), len(dues) if dues is not None else 0, len(sent)
