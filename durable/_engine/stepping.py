"""Steps the runs of owned partitions: takes what waits for a run, finds its execution, decides, and hands the decision to a commit.

Stepping a run whose execution is in memory is synchronous. Everything else (loading, local activities, what a run without
working code can still do) goes on beside it, while other runs are stepped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

from .._log import AskQuery, QueryReply, RetryRun, StartRun
from .._runtime.options import WorkflowSpec
from ..codec import Codec, default_codec, failure_of
from ..errors import RunNotFoundError
from ..stores import Document, Store
from ._local import LocalTasks
from ._watchdog import Watchdog
from .cache import ExecutionCache
from .commits import Committer, Prepared, Stepped
from .decision import Decision, Delivery
from .execution import Execution
from .fork import fork
from .loading import UnknownWorkflowError, closed_execution, load_execution, started_execution
from .local import OpenStep
from .lost import check_begun
from .owned import Mailbox, Owned
from .reopen import reopen
from .steps import pending_local, step
from .stuck import Stuck, dropped

_log = logging.getLogger("durable.engine")

LOADS_MAX = 16  # replays prepared at once: bounds memory while a new owner takes over many runs


class Stepper:
    """Steps runs. `submit` sends what was prepared; `spawn` runs a coroutine beside the loop, for a partition."""

    def __init__(
        self,
        store: Store,
        specs: Mapping[str, WorkflowSpec],
        codec: Codec,
        local: LocalTasks,
        committer: Committer,
        cache: ExecutionCache,
        watchdog: Watchdog,
        submit: Callable[[list[Prepared]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        is_owned: Callable[[Owned], bool],
        lacks: Callable[[int, UnknownWorkflowError], Awaitable[str | None]],
    ) -> None:
        self._store, self._specs, self._codec, self._local = store, specs, codec, local
        self._committer, self._cache, self._watchdog = committer, cache, watchdog
        self._submit, self._spawn, self._is_owned = submit, spawn, is_owned
        self._live: WeakSet[Execution] = WeakSet()
        self._loads = asyncio.Semaphore(LOADS_MAX)
        self.stuck = Stuck(store, committer, submit, lacks)

    def dispose(self) -> None:
        """The engine ends: drop the code of all runs, whatever was under way with them. Else the garbage collector would, loudly."""
        for execution in list(self._live):
            execution.dispose()

    def step_next(self, owned: Owned, prepared: Prepared) -> bool:
        """Step the next ready run of `owned` into `prepared`; False if none is ready."""
        mailbox = owned.take_ready()
        if mailbox is None:
            return False
        execution = mailbox.execution or self._cache.take(mailbox.name)
        mailbox.execution = None
        if execution is None and not mailbox.reload and not mailbox.noted:
            try:
                execution = started_execution(self._specs, self._codec, mailbox.deliveries[0])
            except Exception as error:
                self._spawn(self.stuck.report(owned, mailbox, mailbox.take_all(), error))
                return True
        if execution is None:
            self._spawn(self._load(owned, mailbox))
        else:
            self._live.add(execution)
            self._step(owned, mailbox, execution, prepared)
        return True

    def _step(self, owned: Owned, mailbox: Mailbox, execution: Execution, prepared: Prepared) -> None:
        deliveries = mailbox.take_all()
        run_id = execution.run_id
        if _newer_start(deliveries, run_id) is not None:
            # The id was started anew while this run, which is closed, was loaded; or it was closed by another owner, unknown here.
            execution.dispose()
            mailbox.deliveries[:0] = deliveries
            self._spawn(self._load(owned, mailbox))
            return
        mine = deliveries
        for delivery in deliveries:
            message = delivery.message
            theirs = message.run_id != run_id and message.run_id is not None
            if theirs and mine is deliveries:
                mine = [d for d in deliveries if d.message.run_id in (None, run_id)]
            kind = type(message)
            if kind is RetryRun or (theirs and kind is AskQuery) or (kind is StartRun and _forks(message, execution)):
                special = True
                break
        else:
            special = False
        if special:
            self._spawn(self._special(owned, mailbox, execution, deliveries))
            return
        decision = Decision()
        stepped = Stepped(mailbox, deliveries, decision, execution)
        try:
            step(execution, mine, self._store.now_ms(), decision, self._watch(execution.workflow_id))
            if mine is not deliveries:
                theirs_only = dropped([d for d in deliveries if d.message.run_id not in (None, run_id)])
                decision.dues_removed += theirs_only.dues_removed
                decision.replies += theirs_only.replies
            if pending_local(execution):
                self._spawn(self._run_local(owned, stepped))
            else:
                self._committer.add(prepared, stepped)
        except Exception as error:
            execution.dispose()
            self._spawn(self.stuck.report(owned, mailbox, deliveries, error, execution))

    async def _replayed(self, partition: int, document: Document) -> Execution:
        watched = self._watch(document.name)
        execution = await load_execution(self._store, self._specs, self._codec, partition, document, watched)
        self._live.add(execution)
        return execution

    def _watch(self, label: str) -> Callable[[Callable[[], None]], None]:
        return partial(self._watchdog.run, label)

    async def _commit(self, owned: Owned, stepped: Stepped) -> None:
        prepared = self._committer.prepare(owned)
        try:
            self._committer.add(prepared, stepped)
        except Exception as error:
            execution = stepped.execution
            if execution is not None:
                execution.dispose()
            await self.stuck.report(owned, stepped.mailbox, stepped.deliveries, error, execution)
            return
        self._submit([prepared])

    async def _load(self, owned: Owned, mailbox: Mailbox) -> None:
        """Load the run that `mailbox` is for, and make it ready again."""
        document: Document | None = None
        try:
            async with self._loads:
                document = await self._document(owned, mailbox)
                if document is None or (not document.open and not _asks(mailbox.deliveries)):
                    _log.debug("messages for workflow id %r are dropped: it has no open run", mailbox.name)
                    deliveries = mailbox.take_all()
                    await self._commit(owned, Stepped(mailbox, deliveries, dropped(deliveries)))
                    return
                mailbox.noted = document.note
                execution = await self._loaded(owned, mailbox, document)
                check_begun(execution, document, mailbox.deliveries)
                mailbox.execution = execution
                mailbox.reload = False
        except Exception as error:
            deliveries = mailbox.take_all()
            await self.stuck.report(owned, mailbox, deliveries, error, document=document)
            return
        if not self._is_owned(owned):
            owned.dispose()
        owned.settle(mailbox)

    async def _document(self, owned: Owned, mailbox: Mailbox) -> Document | None:
        """Return the record of the run that the mailbox is for: the one that is being started, else the latest."""
        partition = owned.lease.partition
        document = await self._store.document(partition, name=mailbox.name)
        if document is not None and document.inbox != self._committer.inbox:
            document = await self._earlier(partition, mailbox)
        while (start := _newer_start(mailbox.deliveries, document.id if document is not None else "")) is not None:
            document = await self._store.document(partition, id=start)
            if document is None:
                break
        return document

    async def _earlier(self, partition: int, mailbox: Mailbox) -> Document | None:
        """The latest run of the workflow id has another queue or version: return the one of ours that was asked, if there is one."""
        for run_id in {d.message.run_id: None for d in reversed(mailbox.deliveries) if d.message.run_id}:
            document = await self._store.document(partition, id=run_id)
            if document is not None and document.name == mailbox.name and document.inbox == self._committer.inbox:
                return document
        return None

    async def _loaded(self, owned: Owned, mailbox: Mailbox, document: Document) -> Execution:
        if not document.open and any(type(d.message) is RetryRun for d in mailbox.deliveries):
            # Not replayed to its failure: the code may have been put right, and would not fail any more.
            execution = closed_execution(self._specs, self._codec, document)
            latest = await self._store.document(owned.lease.partition, name=mailbox.name)
            execution.superseded = latest.id if latest is not None and latest.id != document.id else ""
            return execution
        return await self._replayed(owned.lease.partition, document)

    async def _run_local(self, owned: Owned, stepped: Stepped) -> None:
        """Run the local activities of a step until it needs no more of them, then commit it."""
        execution = stepped.execution
        assert execution is not None
        try:
            await OpenStep(self._store, self._local, stepped, self._watch(execution.workflow_id)).run()
        except Exception as error:
            execution.dispose()
            await self.stuck.report(owned, stepped.mailbox, stepped.deliveries, error, execution)
            return
        await self._commit(owned, stepped)

    async def _special(self, owned: Owned, mailbox: Mailbox, execution: Execution, deliveries: list[Delivery]) -> None:
        """Do what needs another look at the log: fork a run, reopen a closed one, or ask one that is not the latest.

        One such message at a time; what else came with it waits for the next step. But a fork takes it along, as any first step
        does: its code may end at once, and a run is not closed over what is unread.
        """
        found = [d for d in deliveries if _is_special(d.message, execution)]
        special = next((d for d in found if not isinstance(d.message, StartRun)), found[0])
        rest = [d for d in deliveries if d is not special]
        taken = [special]
        if isinstance(special.message, StartRun):
            taken += [d for d in rest if not _is_special(d.message, execution)]
            rest = [d for d in rest if _is_special(d.message, execution)]
        mailbox.deliveries[:0] = rest
        partition = owned.lease.partition
        asked: Execution | None = execution
        try:
            if isinstance(special.message, RetryRun):
                watched = self._watch(execution.workflow_id)
                execution, decision = await reopen(self._store, partition, execution, special.message, watched)
                self._live.add(execution)
            elif isinstance(special.message, StartRun):
                watched = self._watch(execution.workflow_id)
                along = [d for d in taken[1:] if d.message.run_id in (None, execution.run_id)]
                decision = await fork(self._store, execution, special.message, watched, along)
            else:
                self._cache.put(mailbox.name, partition, execution)
                asked = None  # it is the cache's again, whatever becomes of the question
                message = special.message
                assert isinstance(message, AskQuery)
                document = await self._store.document(partition, id=message.run_id)
                decision = Decision()
                if document is None or document.name != mailbox.name:
                    decision.replies.append((message.reply, _no_such_run(message.run_id, mailbox.name)))
                    await self._commit(owned, Stepped(mailbox, [special], decision))
                    return
                asked = execution = await self._replayed(partition, document)
                step(execution, [special], self._store.now_ms(), decision, self._watch(execution.workflow_id))
        except Exception as error:
            if asked is not None:
                asked.dispose()
            await self.stuck.report(owned, mailbox, taken, error, asked)
            return
        stepped = Stepped(mailbox, taken, decision, execution)
        if pending_local(execution):
            await self._run_local(owned, stepped)
        else:
            await self._commit(owned, stepped)


def _forks(message: Any, execution: Execution) -> bool:
    return isinstance(message, StartRun) and message.fork is not None and not execution.seq


def _is_special(message: Any, execution: Execution) -> bool:
    if isinstance(message, AskQuery):
        return message.run_id not in (None, execution.run_id)
    return isinstance(message, RetryRun) or _forks(message, execution)


def _asks(deliveries: list[Delivery]) -> bool:
    return any(isinstance(delivery.message, AskQuery | RetryRun) for delivery in deliveries)


def _newer_start(deliveries: list[Delivery], run_id: str) -> str | None:
    """Return the id of the run that is started by the last start in `deliveries`, unless that is `run_id`."""
    starts = [d.message.run_id for d in deliveries if isinstance(d.message, StartRun)]
    return starts[-1] if starts and starts[-1] != run_id else None


def _no_such_run(run_id: str | None, workflow_id: str) -> QueryReply:
    error = RunNotFoundError(f"workflow id {workflow_id!r} has no run {run_id!r}")
    return QueryReply(failure=failure_of(error, default_codec()).as_wire())
