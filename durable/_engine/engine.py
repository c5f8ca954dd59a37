"""The driver: the only place that reads the log, steps what was read, and commits.

One per worker and inbox: that of its task queue, and one for each pinned version of a workflow.

Loop: read the inboxes of the owned partitions, add the dues that are due, step each run that has something waiting, and
send one commit per partition. While a commit is under way the next batch, of other runs, is stepped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from .. import _limits, telemetry
from .._log import ActivityEnded
from .._runtime import guard
from .._runtime.options import WorkflowSpec
from ..codec import Codec
from ..errors import ClaimLostError, StoreError
from ..stores import ClaimedTask, Lease, Store, inbox_topic
from ._local import LocalTasks
from ._watchdog import Watchdog
from .cache import ExecutionCache
from .commits import Committer, Prepared
from .completion import Completion
from .decision import Delivery
from .handover import Handover
from .intake import Intake
from .lost import find_lost, report_lost
from .outbox import Outbox
from .owned import FOREVER_MS, Owned
from .stepping import Stepper
from .stuck import hand_over

_log = logging.getLogger("durable.engine")

COMMITS_MAX = (
    2  # commits under way at once: one being written while the next is stepped; more would only make them smaller
)
POLL_S = 2.0  # notifications are hints: the inboxes are read at least this often


class Engine:
    """Owns partitions of one inbox of a task queue and moves their runs. See the module's docstring."""

    def __init__(
        self,
        store: Store,
        *,
        session: str,
        queue: str,
        inbox: str | None = None,
        workflows: Mapping[str, WorkflowSpec],
        codec: Codec,
        local: LocalTasks,
        cache_runs: int = _limits.CACHE_RUNS_MAX,
        lease_ttl_ms: int = _limits.LEASE_TTL_MS,
        publish: Callable[[], None] | None = None,
    ) -> None:
        self._store, self._session, self._queue = store, session, queue
        self._inbox = queue if inbox is None else inbox
        self._local = local
        self._interval_s = lease_ttl_ms / 5000
        self._owned: dict[int, Owned] = {}
        self._leases: tuple[Lease, ...] = ()  # replaced, never changed: other threads read it
        self._epochs: dict[int, int] = {}  # the greatest ever held, by partition
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._rebalance = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopping = False
        self._commits = 0
        self._reading = telemetry.Outage(_log, "the store cannot be read")
        self._balancing = telemetry.Outage(_log, "partitions cannot be shared out")
        self._watchdog = Watchdog()
        self._handover = Handover(store, session, queue, self._inbox, publish)
        committer = Committer(store, local, session, self._inbox)
        self._committer = committer
        self._cache = ExecutionCache(cache_runs)
        self._outbox = Outbox(store, self._spawn, self._is_owned, self._wake.set)
        self._intake = Intake(store, committer, self._submit, self._spawn, self._wake.set, self._went_back)
        self._completion = Completion(
            store, committer, self._cache, self._is_owned, self._abandon, self._went_back, self._submit
        )
        self._stepper = Stepper(
            store,
            workflows,
            codec,
            local,
            committer,
            self._cache,
            self._watchdog,
            self._submit,
            self._spawn,
            self._is_owned,
            self._handover.lacks,
        )

    # --- what the worker calls

    def leases(self) -> Sequence[Lease]:
        """Return the leases that it holds, to be renewed. Thread-safe."""
        return self._leases

    @property
    def needs(self) -> dict[int, list[str]]:
        """The workflows that this worker lacks, by partition: for its session to say (`Offer.needs`)."""
        return self._handover.needs

    def rebalance(self) -> None:
        """Look now who should own which partition: the session says something else."""
        self._rebalance.set()

    def lost(self, leases: Sequence[Lease]) -> None:
        """The keeper found that this session does not hold `leases` any more."""
        ours = [self._owned[each.partition] for each in leases if each in self._leases]
        for owned in ours:
            self._drop(owned)
        if ours:
            _log.warning(
                "leases were lost, to another worker or because the session had expired: of the partitions %s of inbox %r",
                ", ".join(str(owned.lease.partition) for owned in ours), self._inbox,
            )  # fmt: skip

    def accept(self, claimed: ClaimedTask, ended: ActivityEnded, asked_s: float) -> bool:
        """Take a local result; False if its partition is not owned, or was not yet when the task was claimed (`asked_s`).

        Then report it through the store, which knows whether the task is still the same.
        Its task stays claimed in the store until the commit that records the result removes it.
        """
        owned = self._owned.get(claimed.partition)
        if owned is None or owned.leaving or self._stopping or claimed.task.inbox != self._inbox:
            return False
        if asked_s < owned.since_s:
            return False
        owned.post(Delivery(claimed.task.name, ended, claimed=claimed))
        self._wake.set()
        return True

    async def run(self) -> None:
        """Own a fair share of the partitions and move their runs, until `stop`. Cancelling it stops at once."""
        guard.install()
        self._watchdog.start()
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._balance_forever()), group.create_task(self._listen_forever())]
                await self._step_forever()
                for helper in helpers:
                    helper.cancel()
            await self._hand_back()
        finally:
            for task in list(self._tasks):
                task.cancel()
            self._cache.clear()
            self._stepper.dispose()
            self._watchdog.stop()
            self._stopped.set()

    async def stop(self) -> None:
        """Take no more steps, wait for the commits under way, and give up all leases. Returns when `run` has ended."""
        self._stopping = True
        self._wake.set()
        await self._stopped.wait()

    async def _hand_back(self) -> None:
        while self._commits:
            await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)
        owned = list(self._owned.values())
        for item in owned:
            await self._reroute(item)
            self._drop(item)
        try:
            await self._store.release([item.lease for item in owned])
        except StoreError as error:
            _log.warning("the leases could not be given up (they expire by themselves): %s", error)

    # --- the loop

    async def _step_forever(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._intake.read(list(self._owned.values()))
            except StoreError as error:
                self._reading.failed(error, self._interval_s)
                await self._store.clock.sleep(self._interval_s)
                continue
            self._reading.ended()
            if self._step_all():
                await asyncio.sleep(0)  # let activities begin, results come and commits go out
                continue
            if not self._stopping:
                await self._store.clock.wait(self._wake, self._pause_s())

    def _step_all(self) -> bool:
        """Step what is ready, as far as the commits under way allow; return whether there was anything."""
        if self._commits >= COMMITS_MAX:
            return False
        batch: list[Prepared] = []
        left, now_ms = _limits.BATCH_MESSAGES_MAX, self._store.now_ms()
        for owned in list(self._owned.values()):
            if owned.leaving or not owned.has_work(now_ms):
                continue
            prepared = self._committer.prepare(owned)
            self._intake.fire(owned, prepared, now_ms)
            stepped = False
            while left > 0 and self._stepper.step_next(owned, prepared):
                left -= 1
                stepped = True
            if prepared.stepped or prepared.commit.tasks or prepared.commit.dues_removed or owned.relayed:
                batch.append(prepared)
            if stepped and left == 0:
                self._owned[owned.lease.partition] = self._owned.pop(
                    owned.lease.partition
                )  # the others first, next time
                break
        if batch:
            self._submit(batch)
        return bool(batch) or left < _limits.BATCH_MESSAGES_MAX

    def _pause_s(self) -> float | None:
        """Return how long there is nothing to do if nobody wakes the loop."""
        clock = self._store.clock
        poll_s = clock.upkeep_s(POLL_S)
        if self._commits >= COMMITS_MAX:
            return poll_s
        # What is due in a partition that is being given up is the next owner's.
        next_ms = min((owned.next_ms() for owned in self._owned.values() if not owned.leaving), default=FOREVER_MS)
        if next_ms >= FOREVER_MS:
            return poll_s
        left_s = max(0.0, (next_ms - self._store.now_ms()) / 1000)
        return left_s if poll_s is None else min(poll_s, left_s)

    async def _listen_forever(self) -> None:
        while not self._stopping:
            topics = [inbox_topic(partition, self._inbox) for partition in range(self._store.partitions)]
            watch = self._store.watch(topics)
            try:
                while not self._stopping:
                    await watch.wait(self._store.clock.upkeep_s(POLL_S))
                    for owned in self._owned.values():
                        owned.unread = True
                    self._wake.set()
            finally:
                watch.close()

    # --- commits

    def _submit(self, batch: list[Prepared]) -> None:
        self._commits += 1
        for prepared in batch:
            prepared.owned.in_flight += 1
            self._committer.take_relayed(prepared)
        self._spawn(self._send(batch))

    async def _send(self, batch: list[Prepared]) -> None:
        clock = self._store.clock
        began = clock.monotonic()
        try:
            answers = await self._committer.send(batch)
        finally:
            self._commits -= 1
            for prepared in batch:
                prepared.owned.in_flight -= 1
        refused = sum(answer is not None for answer in answers)
        telemetry.commits_answered(len(answers) - refused, refused, clock.monotonic() - began)
        for prepared, refusal in zip(batch, answers, strict=True):
            self._completion.settle(prepared, refusal)
            if refusal is None and prepared.commit.outgoing:
                self._outbox.send(prepared.owned, prepared.commit.outgoing)
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an engine task failed; its runs are loaded anew: %s", error, exc_info=error)
            for owned in list(self._owned.values()):
                self._drop(owned)  # taken again with the next round of `_balance_forever`, not at once: no hot loop

    # --- ownership

    def _is_owned(self, owned: Owned) -> bool:
        return self._owned.get(owned.lease.partition) is owned

    def _drop(self, owned: Owned) -> None:
        """Forget a partition: what was derived from its log is void."""
        if self._is_owned(owned):
            del self._owned[owned.lease.partition]
            self._leases = tuple(item.lease for item in self._owned.values())
            self._cache.drop_partition(owned.lease.partition)
            owned.dispose()
            self._spawn(self._reroute(owned))

    def _abandon(self, owned: Owned) -> None:
        """A commit came back from a partition that is lost: what it carried must still reach the log."""
        if self._is_owned(owned):
            self._drop(owned)
        else:
            self._spawn(self._reroute(owned))

    def _went_back(self, owned: Owned, what: str) -> None:
        """The store has lost something of a partition: what is in memory of it is void, and it is taken anew."""
        report_lost(owned.lease.partition, self._inbox, what)
        self._drop(owned)
        self._local.doubt()
        self._rebalance.set()

    async def _reroute(self, owned: Owned) -> None:
        """Report the local results that wait for a partition that is not ours any more through the store."""
        for mailbox in list(owned.mailboxes.values()):
            deliveries, mailbox.deliveries = mailbox.deliveries, []
            for delivery in deliveries:
                if isinstance(delivery.claimed, ClaimedTask) and isinstance(delivery.message, ActivityEnded):
                    try:
                        await hand_over(self._store, self._session, delivery.claimed, delivery.name, delivery.message)
                    except (ClaimLostError, StoreError) as error:
                        _log.info(
                            "the result of task %s is left to its next attempt: %s", delivery.claimed.task.id, error
                        )

    async def _balance_forever(self) -> None:
        while not self._stopping:
            self._rebalance.clear()
            try:
                await self._balance()
            except StoreError as error:
                self._balancing.failed(error, self._interval_s)
            else:
                self._balancing.ended()
            await self._store.clock.wait(self._rebalance, self._store.clock.upkeep_s(self._interval_s))

    async def _balance(self) -> None:
        store, partitions = self._store, self._store.partitions
        offers = await self._handover.offers()
        members = list(offers)
        if self._session not in offers:
            return  # expired: the keeper makes it anew, or the worker is about to end
        for item, what in await find_lost(store, list(self._owned.values())):
            if self._is_owned(item):
                self._went_back(item, what)
        share = await self._handover.share(offers)
        for partition in share.to_release(self._owned):
            if (owned := self._owned.get(partition)) is not None:  # else it was lost while we gave up the one before
                await self._leave(owned)
        if self._stopping:
            return
        holders = await store.holders(self._inbox)
        offset = sorted(members).index(self._session) * partitions // len(members)
        others = [partition for partition, holder in holders.items() if holder != self._session]
        # What the store holds for us, unknown to us, nobody could ever take: own it, and give it up in good order. (The answer
        # to a call was lost, or the store fell back to when it was ours.)
        wanted = [p for p, holder in sorted(holders.items()) if holder == self._session and p not in self._owned]
        wanted += [p for p in share.to_acquire(self._owned, others, partitions, offset) if p not in wanted]
        if wanted:
            await self._acquire(wanted)

    async def _acquire(self, partitions: Sequence[int]) -> None:
        """Acquire what can be had of `partitions`, each under an epoch that this engine never had: its old commits stay fenced out."""
        for lease in await self._store.acquire(self._session, self._inbox, partitions):
            known = self._epochs.get(lease.partition, 0)
            if lease.epoch <= known:
                what = f"its lease was given out as epoch {lease.epoch}, and had been at {known}"
                report_lost(lease.partition, self._inbox, what)
            while lease.epoch <= known and (
                again := await self._store.acquire(self._session, self._inbox, [lease.partition])
            ):
                (lease,) = again
            if lease.epoch > known:
                self._take(lease)

    def _take(self, lease: Lease) -> None:
        owned = Owned(lease, since_s=self._store.clock.monotonic())
        self._epochs[lease.partition] = lease.epoch
        self._owned[lease.partition] = owned
        self._leases = tuple(item.lease for item in self._owned.values())
        self._spawn(self._outbox.take_over(owned))
        self._wake.set()

    async def _leave(self, owned: Owned) -> None:
        """Hand a partition over: no new steps, wait for its commits, then release the lease."""
        owned.leaving = True
        while owned.in_flight and self._is_owned(owned):
            self._rebalance.clear()
            await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)
        await self._reroute(owned)
        self._drop(owned)
        await self._store.release([owned.lease])
