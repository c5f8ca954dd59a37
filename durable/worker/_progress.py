"""Writes what activities say by `heartbeat` to the store: the first details at once, later ones at a bounded rate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context

from ..errors import StoreError
from ..stores import Store
from ._attempt import Attempt

logger = logging.getLogger("durable.worker")

_PAUSE_S_MAX = 1.0  # so much progress may be lost with a worker; more writes would cost the store more than they save


class Progress:
    """One writer for each attempt that has something to say, for as long as it does. Belongs to one event loop."""

    def __init__(self, store: Store, session: str, lost: Callable[[Attempt], None]) -> None:
        self._store, self._session, self._lost = store, session, lost

    def write(self, attempt: Attempt) -> None:
        """See that `attempt.said` reaches the store."""
        if attempt.claimed is None or attempt.ended or attempt.writer is not None:
            attempt.writing = attempt.writer is not None
            return
        attempt.writing = True
        # A context of its own: what the writer logs or traces is not the activity's.
        attempt.writer = asyncio.get_running_loop().create_task(self._write(attempt), context=Context())

    def end(self, attempt: Attempt) -> None:
        """The attempt is over: its outcome carries the last details."""
        if attempt.writer is not None:
            attempt.writer.cancel()

    async def _write(self, attempt: Attempt) -> None:
        assert attempt.claimed is not None
        task_id, timeout_ms = attempt.claimed.task.id, attempt.task.heartbeat_timeout_ms
        pause_s = _PAUSE_S_MAX if timeout_ms is None else min(_PAUSE_S_MAX, timeout_ms / 3000)
        written = None
        while attempt.said is not written and attempt.said is not None:
            said = attempt.said
            try:
                if not await self._store.note_progress(self._session, task_id, bytes(said)):
                    attempt.writer = None
                    self._lost(attempt)
                    return
                written = said
            except StoreError as error:
                logger.warning("the progress of activity %s could not be written: %s", attempt.plan.name, error)
            await self._store.clock.sleep(pause_s)
        attempt.writer = None
        attempt.writing = False
        if attempt.said is not written:  # said by a thread between the check and the line above
            self.write(attempt)
