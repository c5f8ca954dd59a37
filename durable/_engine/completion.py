"""What happens when the store has answered a commit: go on from it, or forget what it was derived from."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .. import _limits, telemetry
from ..codec import Failure
from ..errors import NameTakenError, StaleLeaseError, StoreWentBackError, UnreadMessagesError, WrongSequenceError
from ..history import Event, RunFailed, RunStarted, RunTimedOut
from ..stores import Store
from .cache import ExecutionCache
from .commits import Committer, Prepared, Stepped
from .execution import Execution
from .owned import Owned

_log = logging.getLogger("durable.engine")


class Completion:
    """Settles commits."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        cache: ExecutionCache,
        is_owned: Callable[[Owned], bool],
        abandon: Callable[[Owned], None],
        went_back: Callable[[Owned, str], None],
        submit: Callable[[list[Prepared]], None],
    ) -> None:
        self._submit = submit
        self._store, self._committer, self._cache = store, committer, cache
        self._is_owned, self._abandon, self._went_back = is_owned, abandon, went_back

    def settle(self, prepared: Prepared, refusal: Exception | None) -> None:
        """The store has applied the commit (`refusal` is None) or refused it; nothing was written then."""
        owned = prepared.owned
        if refusal is None:
            self._committer.applied(prepared)
            owned.unread = owned.unread or bool(prepared.commit.created)
            for stepped in prepared.stepped:
                self._applied(owned, stepped)
            return
        expected = isinstance(refusal, UnreadMessagesError | NameTakenError)
        self._committer.refused(prepared, 0 if expected else _limits.STUCK_RETRY_MS_MIN)
        gone_back = isinstance(refusal, StoreWentBackError)
        if gone_back or isinstance(refusal, StaleLeaseError) or not self._is_owned(owned):
            if not gone_back:
                _log.warning("partition %d belongs to another worker now: %s", owned.lease.partition, refusal)
            elif self._is_owned(owned):
                self._went_back(owned, str(refusal))
            for stepped in prepared.stepped:
                self._forget(stepped)
            self._abandon(owned)
            return
        log = _log.debug if expected else _log.error
        log("a commit to partition %d was refused, and runs of it are loaded anew: %s", owned.lease.partition, refusal)
        again = self._committer.prepare(owned)
        for stepped in prepared.stepped:
            if _is_spared(stepped, refusal):
                self._committer.add(again, stepped)
            else:
                self._refused(owned, stepped, refusal)
        if again.stepped:
            self._submit([again])
        owned.unread = True

    def _applied(self, owned: Owned, stepped: Stepped) -> None:
        mailbox, execution = stepped.mailbox, stepped.execution
        if execution is not None:
            mailbox.failures = 0
            mailbox.noted = ""
            _count(stepped)
            if execution.closed or not self._is_owned(owned) or execution.run is None:
                execution.dispose()
            else:
                self._cache.put(mailbox.name, owned.lease.partition, execution)
        owned.settle(mailbox)

    def _forget(self, stepped: Stepped) -> None:
        if stepped.execution is not None:
            stepped.execution.dispose()
        stepped.mailbox.deliveries[:0] = stepped.deliveries

    def _refused(self, owned: Owned, stepped: Stepped, refusal: Exception) -> None:
        mailbox = stepped.mailbox
        self._forget(stepped)
        mailbox.reload = True
        if not isinstance(refusal, UnreadMessagesError | NameTakenError):
            mailbox.failures += 1
            if isinstance(refusal, WrongSequenceError) and mailbox.failures < 2:
                pass  # read anew at once; if that does not help, not in a hot loop
            else:
                owned.delay(mailbox, self._store.now_ms() + _limits.STUCK_RETRY_MS_MIN)
        owned.settle(mailbox)


def _is_spared(stepped: Stepped, refusal: Exception) -> bool:
    """Return whether the refusal is not about this part of the commit, which is to be sent again as it is.

    A run that may not close yet is loaded anew, and refused anew as long as somebody writes to it without a pause. Those that
    merely share its commit must not wait for that.
    """
    return (
        isinstance(refusal, UnreadMessagesError) and bool(refusal.names) and stepped.mailbox.name not in refusal.names
    )


def _count(stepped: Stepped) -> None:
    events, execution = stepped.decision.events, stepped.execution
    if events and execution is not None and execution.spec is not None:
        if isinstance(events[0], RunStarted):
            telemetry.run_started(execution.spec.name)
        if stepped.decision.closed:
            telemetry.run_closed(execution.spec.name, stepped.decision.closed)
            _log_close(execution.spec.name, execution, events[-1])


def _log_close(workflow: str, execution: Execution, close: Event) -> None:
    """Log the end of a run that somebody may have to look at."""
    if isinstance(close, RunFailed):
        failure = Failure.from_wire(close.failure)
        _log.warning(
            "%s %r (run %s) failed: %s: %s", workflow, execution.workflow_id, execution.run_id, failure.short_type, failure.message
        )  # fmt: skip
    elif isinstance(close, RunTimedOut):
        _log.warning("%s %r (run %s) reached %s", workflow, execution.workflow_id, execution.run_id, close.limit())
