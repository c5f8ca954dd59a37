"""Decisions into commits, and commits into the store: one for each partition, sent again while their outcome is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from .._log import (
    ActivityTask,
    OutgoingMessage,
    RetryDue,
    StartRun,
    start_document,
    start_entry,
    write_due,
    write_outgoing,
    write_reply,
    write_task,
)
from ..errors import StoreError
from ..history import WIRE
from ..stores import Append, ClaimedTask, Commit, DocumentUpdate, Due, Outgoing, Reply, Store, Task
from ._local import LocalTasks
from .decision import Decision, Delivery
from .execution import Execution
from .owned import Mailbox, Owned
from .retries import queue_limit

_log = logging.getLogger("durable.engine")

_WARN_EVERY = 30  # tries in vain for a warning: about a minute, so that a night without the store does not fill the log
RESEND_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # pauses while the store is away; the last one repeats


@dataclass(slots=True)
class Stepped:
    """One run's part of a commit."""

    mailbox: Mailbox
    deliveries: list[Delivery]
    decision: Decision
    execution: Execution | None = None
    clears_note: bool = False  # the run is not stuck any more, and its record says that it is


@dataclass(slots=True)
class Prepared:
    """A partition's commit, and what to do when it is applied."""

    owned: Owned
    commit: Commit
    stepped: list[Stepped] = field(default_factory=list[Stepped])
    claims: list[tuple[Task, ActivityTask]] = field(default_factory=list[tuple[Task, ActivityTask]])
    dues: list[Due] = field(default_factory=list[Due])
    relayed: list[str] = field(default_factory=list[str])  # outgoing entries that it removes on nobody's behalf
    fired: list[Due] = field(default_factory=list[Due])  # dues that it carries out by itself, without a run's step
    sent_s: float = 0.0  # when it was first sent, by the monotonic clock


class Committer:
    """Builds and sends commits to the partitions of `inbox`."""

    def __init__(self, store: Store, local: LocalTasks, session: str, inbox: str) -> None:
        self._store, self._local, self._session, self.inbox = store, local, session, inbox
        self._commits_of = f"{session}/{inbox}"  # a worker has an engine for each inbox that it serves
        self._commit_number = 0  # a session's id is of one process, so these ids are too

    def prepare(self, owned: Owned) -> Prepared:
        """Return an empty commit for a partition."""
        self._commit_number += 1
        return Prepared(owned, Commit(owned.lease, f"{self._commits_of}/{self._commit_number}"))

    def add(self, prepared: Prepared, stepped: Stepped) -> None:
        """Add a run's decision to a commit: all of it or, if something cannot be written (what is raised), nothing."""
        commit, decision, execution = prepared.commit, stepped.decision, stepped.execution
        records = [WIRE.encode(event) for event in decision.events]
        tasks = [(write_task(task, queue=queue, inbox=self.inbox), task) for task, queue in decision.tasks.values()]
        dues = [write_due(item, due_ms) for item, due_ms in decision.dues.values()] if decision.dues else ()
        if decision.outgoing or decision.replies:
            outgoing = [self._outgoing(prepared, item) for item in decision.outgoing]
            replies = [Reply(reply_id, write_reply(reply)) for reply_id, reply in decision.replies]
            commit.outgoing += outgoing
            commit.replies += replies
        if decision.continued is not None and execution is not None:
            start, name = decision.continued, execution.workflow_id
            document = start_document(name, start, now_ms=decision.events[-1].at)
            commit.created.append((document, start_entry(name, start)))
        # From here on nothing raises.
        prepared.stepped.append(stepped)
        if decision.held:  # they stay in the inbox
            held = {id(delivery) for delivery in decision.held}
            stepped.deliveries = [delivery for delivery in stepped.deliveries if id(delivery) not in held]
            stepped.mailbox.held = decision.held
        for delivery in stepped.deliveries:
            if delivery.seq:
                commit.consumed.append(delivery.seq)
                if commit.newest is None or delivery.seq > commit.newest[0]:
                    commit.newest = delivery.seq, delivery.entry
            elif delivery.relayed:
                commit.relayed.append(delivery.relayed)
            elif delivery.claimed is not None:
                commit.tasks_removed.append(delivery.claimed.task.id)
        if records and execution is not None:
            commit.appends.append(Append(execution.run_id, execution.seq - len(records), records))
        for stored, task in tasks:
            self._add_task(prepared, stored, task)
        if dues:
            commit.dues += dues
            prepared.dues += dues
        if decision.tasks_removed:
            commit.tasks_removed += decision.tasks_removed
            if prepared.fired:
                self._drop_fired(prepared, decision.tasks_removed)
        commit.tasks_cancelled += decision.tasks_cancelled
        if decision.dues_removed:
            commit.dues_removed += decision.dues_removed
            for key in decision.dues_removed:
                prepared.owned.hold_due(key)
        self._add_document(commit, stepped)

    def _outgoing(self, prepared: Prepared, item: OutgoingMessage) -> Outgoing:
        """Return the entry for the outbox; a child gets the id of its run here, where it stays the same however often it is relayed."""
        message = item.message
        if isinstance(message, StartRun) and message.parent is not None:
            parent = msgspec.structs.replace(message.parent, partition=prepared.owned.lease.partition)
            message = msgspec.structs.replace(message, run_id=self._store.clock.new_id(), parent=parent)
            item = msgspec.structs.replace(item, message=message)
        return write_outgoing(item, self._store.partitions)

    def _drop_fired(self, prepared: Prepared, task_ids: Sequence[str]) -> None:
        """Take back retries that came due for this very commit, of activities that the run has given up in it."""
        gone = set(task_ids)
        prepared.commit.tasks = [task for task in prepared.commit.tasks if task.id not in gone]
        for claim in [claim for claim in prepared.claims if claim[0].id in gone]:
            prepared.claims.remove(claim)
            self._local.unreserve()

    def _add_task(self, prepared: Prepared, stored: Task, task: ActivityTask) -> None:
        """Add a task, claimed for the worker of this process if that has a slot for it."""
        if self._local.reserve(stored.queue, task.activity):
            stored.claimed_by = self._session
            prepared.claims.append((stored, task))
        prepared.commit.tasks.append(stored)

    def add_retry(self, prepared: Prepared, item: RetryDue, due: Due) -> None:
        """Put the next attempt of an activity on its queue: the due's key goes, the task comes; the run need not be asked."""
        prepared.commit.dues_removed.append(item.key)
        prepared.fired.append(due)
        self._add_task(prepared, write_task(item.task, queue=item.queue, inbox=self.inbox), item.task)
        limit = queue_limit(item, self._store.now_ms())
        if limit is not None:
            waiting = write_due(*limit)
            prepared.commit.dues.append(waiting)
            prepared.dues.append(waiting)

    def add_note(self, prepared: Prepared, run_id: str, workflow_id: str, note: str) -> None:
        """Write into a run's record why it is stuck."""
        prepared.commit.documents.append(DocumentUpdate(run_id, workflow_id, note=note))

    def take_relayed(self, prepared: Prepared) -> None:
        """The commit is about to be sent: let it remove what the outbox is done with."""
        owned = prepared.owned
        if owned.relayed:
            prepared.relayed, owned.relayed = owned.relayed, []
            prepared.commit.relayed += prepared.relayed

    def _add_document(self, commit: Commit, stepped: Stepped) -> None:
        decision, execution = stepped.decision, stepped.execution
        if execution is None:
            return
        clears = stepped.clears_note = stepped.clears_note or bool(execution.note)
        changed = decision.body is not None or decision.attributes is not None
        if not (decision.closed or decision.reopened or clears or changed):
            return
        update = DocumentUpdate(
            execution.run_id,
            execution.workflow_id,
            state=decision.closed or ("running" if decision.reopened else None),
            note="" if clears else None,
            body=decision.body,
            attributes=decision.attributes,
            opens=decision.reopened and not decision.closed,
            closes=bool(decision.closed) and not decision.reopened,
            closed_ms=decision.events[-1].at if decision.closed else None,
        )
        commit.documents.append(update)
        execution.note = ""

    async def send(self, batch: Sequence[Prepared]) -> list[Exception | None]:
        """Send the commits and return the answer for each; sends them again, with the same ids, while the outcome is unknown.

        Commits of one partition are sent one after the other: a store knows a repeat only of the last one.
        """
        before = {prepared.owned.sent for prepared in batch if prepared.owned.sent is not None}
        sent = asyncio.get_running_loop().create_future()
        for prepared in batch:
            prepared.owned.sent = sent
        try:
            if before := {future for future in before if not future.done()}:
                await asyncio.wait(before)
            return await self._insist(batch)
        finally:
            sent.set_result(None)

    async def _insist(self, batch: Sequence[Prepared]) -> list[Exception | None]:
        commits = [prepared.commit for prepared in batch]
        sent_s = self._store.clock.monotonic()
        for prepared in batch:
            prepared.sent_s = sent_s
            prepared.commit.follows = prepared.owned.last_commit
        attempt = 0
        while True:
            try:
                answers = await self._store.commit(commits)
                for prepared, answer in zip(batch, answers, strict=True):
                    if answer is None:
                        prepared.owned.last_commit = prepared.commit.id
                if attempt:
                    await self._unclaim_refused(batch, answers)
                return answers
            except StoreError as error:
                if not error.retryable:
                    return all_refused(batch, error)
                pause = RESEND_S[min(attempt, len(RESEND_S) - 1)]
                level = logging.DEBUG if attempt % _WARN_EVERY else logging.WARNING
                attempt += 1
                _log.log(level, "the store did not take a commit, trying again in %g s: %s", pause, error)
                await self._store.clock.sleep(pause)
            except (
                Exception
            ) as error:  # a bug: how far it came is unknown, and the runs are loaded anew as after a refusal
                _log.exception("a commit failed")
                unknown: list[Exception | None] = [error] * len(commits)
                for prepared in batch:
                    prepared.owned.last_commit = None
                await self._unclaim_refused(batch, unknown)
                return unknown

    async def _unclaim_refused(self, batch: Sequence[Prepared], answers: Sequence[Exception | None]) -> None:
        """Set free what a commit may have claimed although its repeat was refused.

        If the first try was applied, unseen, and the lease was lost before the next one, that is refused; its tasks are in
        the store then, claimed by us, and nobody would run them.
        """
        tasks = [
            stored.id
            for prepared, answer in zip(batch, answers, strict=True)
            if answer is not None
            for stored, _ in prepared.claims
        ]
        if tasks:
            await self._store.unclaim(self._session, tasks)

    def applied(self, prepared: Prepared) -> None:
        """The commit is durable: run the tasks that it claimed for this process, stop those that are not wanted, remember its dues."""
        owned, commit = prepared.owned, prepared.commit
        for key in commit.dues_removed:
            owned.drop_due(key)
        for due in prepared.dues:
            owned.set_due(due)
        partition = owned.lease.partition
        if commit.tasks_removed:  # before the claims: a commit may remove a task and set it anew
            self._local.lost(commit.tasks_removed)
        for stored, task in prepared.claims:
            self._local.run(ClaimedTask(partition, stored, 1), task, prepared.sent_s)
        if commit.tasks_cancelled:
            self._local.cancel(commit.tasks_cancelled)

    def refused(self, prepared: Prepared, pause_ms: int) -> None:
        """Nothing of the commit was written: give back the slots that were kept for it; its dues fire again in `pause_ms`."""
        for _ in prepared.claims:
            self._local.unreserve()
        prepared.owned.relayed += prepared.relayed
        kept = {delivery.due_key for stepped in prepared.stepped for delivery in stepped.deliveries}
        kept.update(due.key for due in prepared.fired)
        prepared.owned.let_fire([key for key in prepared.commit.dues_removed if key not in kept])
        not_before_ms = self._store.now_ms() + pause_ms
        for due in prepared.fired:
            prepared.owned.set_due(replace(due, due_ms=max(due.due_ms, not_before_ms)))


def all_refused(batch: Sequence[Prepared], error: Exception) -> list[Exception | None]:
    """Return `error` as the answer for each commit of `batch`."""
    return [error for _ in batch]
