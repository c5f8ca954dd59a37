"""Runs that cannot be stepped (invariant 8): they stay open, say why, and are tried again with backoff.

What does not need their code still works: they can be terminated, run into their time limit, and a query is told why.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from .. import _limits, telemetry
from .._log import (
    ACTIVITY_DUES,
    ActivityEnded,
    AskQuery,
    OutgoingMessage,
    QueryReply,
    RetryRun,
    RunTimeoutDue,
    SendUpdate,
    StartRun,
    Terminate,
    due_key,
    ended_entry,
    read_run,
    run_timeout_key,
    task_id,
)
from ..codec import Codec, default_codec, failure_of
from ..errors import ClaimLostError, DurableError, HistoryError, InternalError, RequestFailedError, StoreError
from ..history import (
    ActivityCancelRequested,
    ActivityRetryScheduled,
    ActivityScheduled,
    ChildStartRequested,
    Close,
    Event,
    LocalActivityRetryScheduled,
    Parent,
    RecordedEvent,
    RunReopened,
    RunTerminated,
    RunTimedOut,
    TimerStarted,
)
from ..stores import ClaimedTask, Document, Store
from . import effects
from .commits import Committer, Prepared, Stepped
from .decision import Decision, Delivery
from .execution import Execution
from .loading import UnknownWorkflowError
from .owned import FOREVER_MS, Mailbox, Owned
from .steps import closed_reply

_log = logging.getLogger("durable.engine")

NOTE_CHARS_MAX = 4_000  # a nondeterminism report with both sides fits; a traceback does not belong there


class Stuck:
    """Reports stuck runs and ends those that are to end."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        submit: Callable[[list[Prepared]], None],
        lacks: Callable[[int, UnknownWorkflowError], Awaitable[str | None]],
    ) -> None:
        """`lacks` is told of a run whose workflow is not known here; it returns why no other worker can take it, or None if one does."""
        self._store, self._committer, self._submit, self._lacks = store, committer, submit, lacks
        self._codec = default_codec()

    async def report(
        self,
        owned: Owned,
        mailbox: Mailbox,
        deliveries: list[Delivery],
        error: Exception,
        execution: Execution | None = None,
        document: Document | None = None,
    ) -> None:
        """The run of `mailbox` could not take `deliveries` because of `error`: keep them, say so, and try again later."""
        # A closed run has nothing to go on with: who asked it is told, and its record stays as it is.
        run_id = "" if _is_closed(execution, document) else _run_id(deliveries, execution, document)
        note = f"{type(error).__name__}: {error}"[:NOTE_CHARS_MAX]
        if isinstance(error, UnknownWorkflowError) and run_id:
            lacking = await self._other_worker(owned, error)
            if lacking is None:
                self._leave(owned, mailbox, deliveries)
                return
            note = f"{type(error).__name__}: {lacking}"[:NOTE_CHARS_MAX]
        if isinstance(error, StoreError):
            note = ""  # the store's trouble is not the run's: it is logged, and no record is written
            _log.warning("workflow id %r could not be loaded, trying again: %s", mailbox.name, error)
        elif mailbox.noted != note:
            # An error of ours says all that helps. The stack is that of the engine; only what nobody foresaw needs it.
            foreseen = isinstance(error, DurableError) and not isinstance(error, InternalError)
            _log.error("workflow id %r is stuck: %s", mailbox.name, note, exc_info=None if foreseen else error)
            telemetry.run_stuck(type(error).__name__)
        ours = not isinstance(error, StoreError)
        try:
            deliveries = await self._into_the_log(owned, mailbox, deliveries)
            if ours and run_id and await self._close_without_code(owned, mailbox, deliveries, run_id, note):
                return
        except StoreError as problem:
            _log.warning("the store is away while workflow id %r is stuck: %s", mailbox.name, problem)
        asked = [d for d in deliveries if ours and isinstance(d.message, AskQuery | RetryRun)]
        kept = [d for d in deliveries if not ours or not isinstance(d.message, AskQuery | RetryRun)]
        mailbox.deliveries[:0] = kept
        mailbox.failures += 1
        if kept:
            backoff = min(_limits.STUCK_RETRY_MS_MIN * 2 ** min(mailbox.failures - 1, 16), _limits.STUCK_RETRY_MS_MAX)
            # Where time jumps, waiting mends nothing: the code that is at fault stays the same until there is another worker.
            waits = not ours or self._store.clock.upkeep_s(backoff / 1000) is not None
            owned.delay(mailbox, self._store.now_ms() + backoff if waits else FOREVER_MS)
        self._write(owned, mailbox, asked, note, run_id)

    async def _other_worker(self, owned: Owned, error: UnknownWorkflowError) -> str | None:
        """Return why no other worker goes on with the run; None if one takes the partition over."""
        try:
            return await self._lacks(owned.lease.partition, error)
        except StoreError as problem:
            _log.warning("whether another worker has workflow %r cannot be told now: %s", error.workflow, problem)
            return str(error)

    def _leave(self, owned: Owned, mailbox: Mailbox, deliveries: list[Delivery]) -> None:
        """Keep what the run is to be given for the next owner of its partition. Should that not come, it is tried again."""
        mailbox.deliveries[:0] = deliveries
        mailbox.failures += 1
        owned.delay(mailbox, self._store.now_ms() + _limits.STUCK_RETRY_MS_MIN * 2 ** min(mailbox.failures, 6))
        owned.settle(mailbox)

    def _write(self, owned: Owned, mailbox: Mailbox, asked: list[Delivery], note: str, run_id: str) -> None:
        new_note = bool(run_id) and bool(note) and mailbox.noted != note
        if not asked and not new_note:
            owned.settle(mailbox)
            return
        decision = Decision()
        for delivery in asked:
            if isinstance(delivery.message, AskQuery | RetryRun):
                decision.replies.append((delivery.message.reply, self._cannot_answer(note)))
        prepared = self._committer.prepare(owned)
        self._committer.add(prepared, Stepped(mailbox, asked, decision))
        if new_note:
            self._committer.add_note(prepared, run_id, mailbox.name, note)
            mailbox.noted = note
        self._submit([prepared])

    def _cannot_answer(self, note: str) -> QueryReply:
        error = RequestFailedError(f"the run cannot answer, it is stuck: {note}")
        return QueryReply(failure=failure_of(error, self._codec).as_wire())

    async def _into_the_log(self, owned: Owned, mailbox: Mailbox, deliveries: list[Delivery]) -> list[Delivery]:
        """Put local results into the inbox, where they outlive this process; return the other deliveries."""
        kept: list[Delivery] = []
        for delivery in deliveries:
            if isinstance(delivery.claimed, ClaimedTask) and isinstance(delivery.message, ActivityEnded):
                try:
                    await hand_over(self._store, owned.lease.session, delivery.claimed, mailbox.name, delivery.message)
                except ClaimLostError:
                    continue  # it is there already, its answer was lost; or another worker runs the task by now
            else:
                kept.append(delivery)
        return kept

    async def _close_without_code(
        self, owned: Owned, mailbox: Mailbox, deliveries: list[Delivery], run_id: str, note: str
    ) -> bool:
        """Terminate or time out a run although its code is of no use; False if nobody asked for that."""
        ends = (d.message for d in deliveries if isinstance(d.message, Terminate | RunTimeoutDue))
        end = next((m for m in ends if m.run_id in (None, run_id)), None)
        if end is None:
            return False
        partition, now_ms = owned.lease.partition, self._store.now_ms()
        event: RunTerminated | RunTimedOut
        if isinstance(end, Terminate):
            event = RunTerminated(at=now_ms, request=end.request, reason=end.reason)
        else:
            event = RunTimedOut(at=now_ms, timeout_ms=end.timeout_ms, kind=end.kind)
        decision = dropped(deliveries)
        decision.events.append(event)
        decision.closed = event.status
        asked = [d.message.reply for d in deliveries if isinstance(d.message, AskQuery | RetryRun)]
        decision.replies += [(reply, self._cannot_answer(note)) for reply in asked]
        family = _Family(mailbox.name, run_id)
        family.note_record(await self._store.document(partition, id=run_id))
        seq = await self._drop_pending(partition, run_id, decision, family)
        decision.outgoing += family.messages(event, self._codec)
        execution = Execution(mailbox.name, run_id, None, self._codec, seq=seq + 1, note=mailbox.noted)
        prepared = self._committer.prepare(owned)
        self._committer.add(prepared, Stepped(mailbox, deliveries, decision, execution))
        self._submit([prepared])
        return True

    async def _drop_pending(self, partition: int, run_id: str, decision: Decision, family: _Family) -> int:
        """Take back every task and due that the run may have, as far as its history can be read; return its length.

        `family` takes note of all events.
        """
        seq = 0
        attempts: dict[int, int] = {}
        abandoned: set[int] = set()
        while page := await self._store.read(partition, run_id, after=seq):
            for record in page:
                seq += 1
                try:
                    event = RecordedEvent.read(seq, record).event
                except HistoryError:  # what the damaged record would have told is dropped when it comes
                    continue
                family.note(event)
                if isinstance(event, ActivityScheduled):
                    attempts[event.id] = 1
                    if event.cancellation == "abandon":
                        abandoned.add(event.id)
                elif isinstance(event, ActivityCancelRequested) and event.id in abandoned:
                    attempts.pop(event.id, None)  # nobody waits for it, and it goes on
                elif isinstance(event, LocalActivityRetryScheduled):
                    decision.dues_removed.append(due_key(run_id, event.id, "local"))
                elif isinstance(event, ActivityRetryScheduled):
                    attempts[event.id] = event.attempt + 1
                elif isinstance(event, RunReopened) and event.activity is not None:
                    attempts[event.activity] = event.attempt
                elif isinstance(event, TimerStarted):
                    decision.dues_removed.append(due_key(run_id, event.id, "timer"))
        for command, attempt in attempts.items():
            decision.tasks_removed.append(task_id(run_id, command, attempt))
            decision.dues_removed += [due_key(run_id, command, kind) for kind in ACTIVITY_DUES]
        decision.dues_removed.append(run_timeout_key(run_id))
        return seq


def dropped(deliveries: list[Delivery]) -> Decision:
    """Return the decision that removes what no open run is left for; who waits for an answer is told."""
    updates = [(d.message.reply, d.name) for d in deliveries if isinstance(d.message, SendUpdate)]
    return Decision(
        dues_removed=[d.due_key for d in deliveries if d.due_key],
        replies=[(reply, closed_reply(name, default_codec())) for reply, name in updates],
    )


class _Family:
    """What is known of a run's children and of its parent without its code."""

    def __init__(self, workflow_id: str, run_id: str) -> None:
        self._workflow_id, self._run_id = workflow_id, run_id
        self._workflow, self._first_run_id = "", run_id
        self._parent: Parent | None = None
        self._reopened = 0
        self._children: dict[tuple[int, int], ChildStartRequested] = {}  # by number and reopening

    def note_record(self, document: Document | None) -> None:
        """Take what the run's record says of it: there is one even if the history does not begin yet, or cannot be read."""
        try:
            if document is not None:
                record = read_run(document)
                self._workflow, self._first_run_id, self._parent = (
                    document.kind,
                    record.first_run_id,
                    record.body.parent,
                )
        except HistoryError:
            _log.error("whether run %s has a parent cannot be read: none is told of its end", self._run_id)

    def note(self, event: Event) -> None:
        """Take the next event of the history, one that a reopening voided as well: its child may be open all the same."""
        if isinstance(event, RunReopened):
            self._reopened = event.number
        elif isinstance(event, ChildStartRequested):
            self._children[event.id, self._reopened] = event

    def messages(self, close: Close, codec: Codec) -> list[OutgoingMessage]:
        """Return what `close` leads to. A child that has ended is sent to as well: that is dropped at the relay."""
        ids = self._workflow_id, self._run_id
        told = [effects.parent_closed(*ids, event, number) for (_, number), event in self._children.items()]
        told.append(effects.child_ended(self._parent, self._workflow, *ids, self._first_run_id, close, codec))
        return [item for item in told if item is not None]


async def hand_over(store: Store, session: str, claimed: ClaimedTask, name: str, ended: ActivityEnded) -> None:
    """Report a local result through the inbox, as a worker elsewhere would. Raises `ClaimLostError` if another holds the task."""
    await store.complete(session, claimed, ended_entry(name, ended))


def _is_closed(execution: Execution | None, document: Document | None) -> bool:
    if document is not None:
        return not document.open
    return execution is not None and execution.ended


def _run_id(deliveries: list[Delivery], execution: Execution | None, document: Document | None) -> str:
    if execution is not None:
        return execution.run_id
    if document is not None:
        return document.id
    started = next((d.message for d in deliveries if isinstance(d.message, StartRun)), None)
    return (started.run_id or "") if started is not None else ""
